"""A page that acts with a token: no other site reaches it, and the token stays where it is."""

import re

import httpx
import pytest

from tests.frontdesk import desks
from tests.support import free_port

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def port_of(url: str) -> str:
    return url.rpartition(":")[2]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "[::2"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_name_that_was_made_to_lead_here_is_refused(desk, host, method):
    answer = httpx.request(method, f"{desk.url}/customers/new", headers={"Host": host})
    assert answer.status_code in (400, 421)
    assert "<form" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST", "[::1]"])
def test_the_names_of_this_machine_are_taken(desk, host):
    assert httpx.get(desk.url, headers={"Host": f"{host}:{port_of(desk.url)}"}).status_code == 200


def test_a_further_name_is_taken_where_an_option_says_so(tmp_path):
    words = ("--port", str(free_port()), "--allowed-host", "desk.example.com")
    with desks.frontdesk(tmp_path, "http://127.0.0.1:1", *words) as desk:
        assert httpx.get(desk.url, headers={"Host": "desk.example.com"}).status_code == 200
        assert httpx.get(desk.url, headers={"Host": "example.com"}).status_code == 421


def form(reader: desks.Reader) -> dict[str, str]:
    token = re.search(r'name="csrf_token" value="([^"]+)"', reader.open("/customers/new").page.text)
    return {"csrf_token": token[1], "lastName": "Lovelace"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_another_site_cannot_act_here_though_it_had_the_form(scripted, partner, headers):
    answer = scripted.client.post("/customers", data=form(scripted), headers=headers)
    assert answer.status_code == 403
    assert partner.requests == []


def test_our_own_pages_can_act(scripted, scripted_desk):
    headers = {"Origin": scripted_desk.url, "Sec-Fetch-Site": "same-origin"}
    assert scripted.client.post("/customers", data=form(scripted), headers=headers).status_code == 200


@pytest.mark.parametrize(
    "token", [{}, {"csrf_token": ""}, {"csrf_token": "ImEi.aSYgfA.x"}], ids=["none", "blank", "made up"]
)
def test_a_form_without_its_token_is_refused(scripted, partner, token):
    answer = scripted.client.post("/customers", data={"lastName": "Lovelace"} | token)
    assert answer.status_code == 400
    assert "This page is older than the front desk that runs now." in answer.text
    assert partner.requests == []


def test_a_token_of_another_browser_is_refused(scripted, scripted_desk):
    answer = httpx.post(f"{scripted_desk.url}/customers", data=form(scripted))
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/", "/customers/new", "/nowhere", "/static/frontdesk.css", "/static/htmx.min.js"])
def test_every_answer_has_the_policies(desk, path):
    headers = httpx.get(desk.url + path).headers
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] in ("no-store", "no-cache")
    assert "Server" not in headers


def test_pages_need_nothing_that_the_policy_forbids(desk):
    page = httpx.get(f"{desk.url}/customers/new").text
    assert re.findall(r"<script(?![^>]*src=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []
    assert {address[:8] for address in re.findall(r'(?:src|href)="([^"#]*)"', page)} <= {"/", "/static/", "/custome"}


def test_the_cookie_is_for_our_own_pages_alone(desk):
    cookie = httpx.get(f"{desk.url}/customers/new").headers["Set-Cookie"]
    assert cookie.startswith(f"frontdesk_{port_of(desk.url)}=")
    assert {"HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))


def test_the_token_is_in_no_page_no_file_and_no_log(tmp_path, partner):
    store = tmp_path / "desk.db"
    problem = {"type": "about:blank", "status": 401, "title": f"Unknown token {desks.TOKEN}"}
    partner.always(401, problem, WWW_Authenticate=f'Bearer realm="{desks.TOKEN}"')
    with desks.frontdesk(tmp_path, partner.url, "--port", str(free_port()), "--store", str(store)) as desk:
        reader = desk.reader().create(lastName="Lovelace").send("/enroll")
        addresses = {address.partition("?")[0] for address in re.findall(r'href="(/[^"]*)"', reader.page.text)}
        pages = [reader.page.text, *(reader.open(address).page.text for address in addresses)]
    assert partner.requests[-1][1]["Authorization"] == f"Bearer {desks.TOKEN}"
    assert len(pages) > 5
    assert "WWW-Authenticate: Bearer realm=&#34;•••&#34;" in pages[0]
    assert [page for page in pages if desks.TOKEN in page] == []
    assert desks.TOKEN.encode() not in store.read_bytes()
    assert desks.TOKEN not in desk.log.read_text()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_gets_no_token_that_is_for_this_machine(tmp_path, partner, variable):
    partner.always(200, {"members": []})
    words = (partner.url, "--port", str(free_port()))
    with (
        desks.partner() as proxy,
        desks.frontdesk(tmp_path, *words, **{variable: proxy.url, "NO_PROXY": "", "no_proxy": ""}) as desk,
    ):
        desk.reader().open("/customers/new").send("/customers", email="ada@example.com", lastName="Lovelace")
    assert proxy.requests == []
    assert partner.requests[0][1]["Authorization"] == f"Bearer {desks.TOKEN}"


def test_a_large_form_is_refused(scripted):
    answer = scripted.client.post("/customers", data=form(scripted) | {"lastName": "x" * 100_000})
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/customers/3fa85f64-5717-4562-b3fc-2c963f66afa6", "/customers/1", "/../setup.cfg"])
def test_what_is_not_there_is_a_page_that_says_so(desk, path):
    answer = httpx.get(desk.url + path)
    assert answer.status_code == 404
    assert "The front desk has no such" in answer.text
    assert "To the customers" in answer.text
