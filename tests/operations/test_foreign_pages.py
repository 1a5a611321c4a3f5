"""A page that the user visits drives neither Prefect nor the site, whatever it sends."""

from __future__ import annotations

import http.client
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from flows.platform.credentials import CredentialsError, credentials_path, stored_credentials
from flows.platform.environment import prepare_prefect
from flows.platform.site_server import site_server
from tests.builders.servers import answering, asking

ATTACK = """<!doctype html><title>attack</title><body>
<iframe name="sink"></iframe>
<form id="plain" method="post" enctype="text/plain" target="sink" action="API/flows/">
<input name='{"name": "planted", "tags": ["' value='"]}'></form>
<form id="encoded" method="post" target="sink" action="API/flows/">
<input name="name" value="planted"></form>
<script>
const api = 'API', body = JSON.stringify({name: 'planted'}), read = {};
const headers = {'Content-Type': 'application/json'};
const guess = {...headers, 'Prefect-Csrf-Token': 'x', 'Prefect-Csrf-Client': 'x'};
const asked = {
  blind: () => fetch(api + '/flows/', {method: 'POST', mode: 'no-cors', body}),
  untyped: () => fetch(api + '/flows/', {
    method: 'POST', mode: 'no-cors', body: new Blob([body]), credentials: 'include'}),
  json: () => fetch(api + '/flows/', {method: 'POST', headers, body}),
  guessed: () => fetch(api + '/flows/', {method: 'POST', headers: guess, body}),
  authorised: () => fetch(api + '/flows/', {
    method: 'POST', headers: {...guess, Authorization: 'Basic ' + btoa('newsvane:')}, body}),
  variable: () => fetch(api + '/variables/', {
    method: 'POST', headers: {'Content-Type': 'text/plain'},
    body: JSON.stringify({name: 'planted', value: 1})}),
  token: () => fetch(api + '/csrf-token?client=x'),
  version: () => fetch(api + '/admin/version'),
  settings: () => fetch(api + '/admin/settings'),
  socket: () => new Promise((done, failed) => {
    const socket = new WebSocket(api.replace('http', 'ws') + '/events/in', ['prefect']);
    socket.onopen = () => socket.send(JSON.stringify({type: 'auth', token: 'newsvane:'}));
    socket.onmessage = message => done({text: () => message.data});
    socket.onclose = socket.onerror = failed;
  }),
  legacy: () => new Promise((done, failed) => {
    const socket = new WebSocket(api.replace('http', 'ws') + '/events/in');
    socket.onopen = () => done({text: () => 'open'});
    socket.onclose = socket.onerror = failed;
  }),
};
async function attack() {
  navigator.sendBeacon(api + '/flows/', body);
  for (const [name, send] of Object.entries(asked))
    try { read[name] = await (await send()).text() } catch { read[name] = '' }
  for (const form of ['plain', 'encoded']) {
    document.getElementById(form).submit();
    await new Promise(done => setTimeout(done, 300));
  }
  document.body.insertAdjacentHTML('beforeend', '<pre id="read"></pre>');
  document.getElementById('read').textContent = JSON.stringify(read);
}
attack();
</script>"""

FOREIGN = (
    "evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost.evil:{port}",
    "evil.example@127.0.0.1:{port}", "127.0.0.1@evil.example", "10.0.0.1:{port}",
    "prefect-in-memory", "[::ffff:127.0.0.1]:{port}", "127.0.0.1,evil.example", "", "*",
)  # fmt: skip
OWN = ("127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "127.0.0.1")


@pytest.fixture(scope="module")
def server(prefect_api: str) -> Iterator[httpx.Client]:
    """The test session's server, asked by who may."""
    with asking(prefect_api, os.environ["PREFECT_API_AUTH_STRING"]) as client:
        yield client


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_page_of_another_origin_neither_changes_nor_reads(
    prefect_api: str, server: httpx.Client, browser: webdriver.Chrome, name: str
) -> None:
    page = ATTACK.replace("API", prefect_api).encode()
    with answering(lambda _: page) as attacker:
        browser.get(attacker.replace("127.0.0.1", name))
        shown = WebDriverWait(browser, 120).until(lambda opened: opened.find_element(By.ID, "read"))
        read = json.loads(shown.text)
    assert len(read) == 11
    assert {what: text for what, text in read.items() if text} == {}
    for kind in ("flows", "variables"):
        found = server.post(f"/{kind}/filter", json={}).raise_for_status().json()
        assert "planted" not in {one["name"] for one in found}


@pytest.mark.slow
def test_ui_is_shown_in_no_frame_of_another_page(prefect_api: str) -> None:
    answer = httpx.get(prefect_api.removesuffix("api"))
    assert (answer.status_code, answer.headers["x-frame-options"]) == (200, "DENY")


@pytest.mark.slow
def test_changes_need_credentials_and_a_token(prefect_api: str, server: httpx.Client) -> None:
    flow = {"name": "made"}
    auth = server.auth
    assert httpx.get(f"{prefect_api}/flows/name/none").status_code == 401
    for headers in ({}, {"Content-Type": "text/plain"}, {"Origin": "null"}):
        body = json.dumps(flow)
        refused = httpx.post(f"{prefect_api}/flows/", content=body, headers=headers)
        assert refused.status_code == 403
        refused = httpx.post(f"{prefect_api}/flows/", content=body, headers=headers, auth=auth)
        assert refused.status_code == 403
    assert server.post("/flows/", json=flow).status_code == 201


@pytest.mark.slow
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"]
)
def test_other_origins_may_not_read(prefect_api: str, server: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for answer in (
        server.get("/admin/version", headers=headers),
        httpx.options(f"{prefect_api}/flows/", headers=headers),
    ):
        assert "access-control-allow-origin" not in answer.headers
    own = prefect_api.removesuffix("/api").replace("127.0.0.1", "localhost")
    answer = server.get("/admin/version", headers={"Origin": own})
    assert answer.headers["access-control-allow-origin"] == own


@pytest.mark.slow
def test_server_called_by_a_foreign_name_answers_nothing(
    prefect_api: str, server: httpx.Client
) -> None:
    address = urlsplit(prefect_api)
    for path in ("/", "/api/health", "/api/admin/version", "/ui-settings"):
        for host in FOREIGN:
            status = status_of(address.port, path, host, {"Authorization": _basic(server)})
            assert 400 <= status < 500, (host, path)
        for host in OWN:
            assert status_of(address.port, path, host, {"Authorization": _basic(server)}) == 200


def test_site_called_by_a_foreign_name_answers_nothing(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("scores")
    with site_server(tmp_path, "127.0.0.1", 0) as inbox:
        port = urlsplit(inbox.url).port
        for host in FOREIGN:
            assert 400 <= status_of(port, "/", host, {}) < 500, host
            taken = {"Authorization": f"Bearer {inbox.token}", "Content-Length": "0"}
            assert status_of(port, "/alarms", host, taken, "POST") in {400, 421}, host
        for host in OWN:
            assert status_of(port, "/", host, {}) == 200
        answer = httpx.get(inbox.url.replace("/alarms", "/"))
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_request_with_two_names_is_refused(tmp_path: Path) -> None:
    with site_server(tmp_path, "127.0.0.1", 0) as inbox:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(inbox.url).port or 0)
        connection.putrequest("GET", "/", skip_host=True)
        for host in ("127.0.0.1", "evil.example"):
            connection.putheader("Host", host)
        connection.endheaders()
        assert connection.getresponse().status == 421
        connection.close()


def test_credentials_are_their_owners_alone_and_stay(tmp_path: Path) -> None:
    made = stored_credentials(tmp_path)
    path = credentials_path(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(made) > 40
    path.chmod(0o644)
    assert stored_credentials(tmp_path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["credentials"]
    assert stored_credentials(tmp_path / "other") != made


@pytest.mark.parametrize("content", ["", "newsvane:", ":secret", "no colon", "a:b\nc:d"])
def test_unusable_credentials_are_explained(tmp_path: Path, content: str) -> None:
    path = credentials_path(tmp_path)
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(CredentialsError, match="Delete it") as refused:
        stored_credentials(tmp_path)
    assert "secret" not in str(refused.value)


def test_credentials_behind_a_link_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("newsvane:known-to-another")
    path = credentials_path(tmp_path)
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CredentialsError):
        stored_credentials(tmp_path)


@pytest.fixture
def no_prefect(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment without Prefect's settings, as it was before afterwards."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith("PREFECT_"):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.usefixtures("no_prefect")
def test_server_of_one_command_is_guarded_too(tmp_path: Path) -> None:
    prepare_prefect(tmp_path)
    made = stored_credentials(tmp_path)
    assert os.environ["PREFECT_SERVER_API_AUTH_STRING"] == made
    assert os.environ["PREFECT_API_AUTH_STRING"] == made
    assert os.environ["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert "*" not in os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]


@pytest.mark.usefixtures("no_prefect")
def test_server_elsewhere_is_not_told_our_password(tmp_path: Path) -> None:
    os.environ["PREFECT_API_URL"] = "https://prefect.example.org/api"
    for _ in range(2):
        prepare_prefect(tmp_path)
        assert "PREFECT_API_AUTH_STRING" not in os.environ


def status_of(
    port: int | None, path: str, host: str, headers: dict[str, str], method: str = "GET"
) -> int:
    """The status of a request that calls loopback's PORT by the name `host`."""
    connection = http.client.HTTPConnection("127.0.0.1", port or 0, timeout=60)
    connection.request(method, path, headers={"Host": host.replace("{port}", str(port)), **headers})
    status = connection.getresponse().status
    connection.close()
    return status


def _basic(server: httpx.Client) -> str:
    request = next(server.auth.sync_auth_flow(server.build_request("GET", "/")))  # type: ignore
    return request.headers["Authorization"]
