"""The API's page, in a real browser: it works without any other host, and breaks no content security policy."""

from playwright.async_api import Browser, Page, expect

from tests.live.servers import PASSWORD, Server

SIGN_IN = """body => fetch("session", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
}).then(answer => answer.status)"""


async def test_the_page_needs_no_other_host_and_makes_calls(browser: Browser, server: Server) -> None:
    complaints: list[str] = []
    requested: list[str] = []
    page = await browser.new_page()
    page.set_default_timeout(30_000)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    await page.goto(f"{server.url}/api/v1/docs")
    await execute(page, "session-who_am_i")
    assert await page.evaluate(SIGN_IN, {"username": "ada", "password": PASSWORD}) == 200
    # With it the CSRF token of the new login.
    await page.reload()
    await execute(page, "socket-ticket")
    assert {url.split("/")[2] for url in requested if not url.startswith("data:")} == {server.address}
    assert not complaints


async def execute(page: Page, call: str) -> None:
    """Try a call out, which must succeed."""
    block = page.locator(f"#operations-{call}")
    await block.get_by_role("button").first.click()
    await block.get_by_role("button", name="Try it out").click()
    await block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table").get_by_role("cell", name="200", exact=True)
    await expect(answer).to_be_visible(timeout=30_000)
