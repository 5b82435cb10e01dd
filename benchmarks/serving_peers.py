"""The servers that `serving.py` compares: their programs and their command lines.

The peers' programs are strings that are written to build/ and run in an environment of their own,
because they load a model with joblib, which nothing else in this project may do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from model.predictor import TABLE_FILE

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "serving"

FIT = """
import sys, joblib, numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
data = load_breast_cancer()
forest = RandomForestClassifier(120, max_depth=10, random_state=0, n_jobs=1)
model = forest if sys.argv[1] == "random-forest" else HistGradientBoostingClassifier(random_state=0)
joblib.dump(model.fit(data.data.astype(np.float32), data.target_names[data.target]), sys.argv[2])
"""
# The structure of sagemaker-scikit-learn-container: numpy's decoders and encoders between Flask and
# the model. A single row is reshaped to two dimensions, because scikit-learn requires it.
OFFICIAL = """
import os
from io import StringIO
import flask, joblib, numpy as np
model = joblib.load(os.environ["BENCH_MODEL"])
app = flask.Flask(__name__)

@app.route("/ping")
def ping():
    return "", 200

@app.route("/invocations", methods=["POST"])
def invocations():
    text = flask.request.get_data().decode("utf-8")
    array = np.genfromtxt(StringIO(text), delimiter=",").astype(np.float32)
    prediction = model.predict(array.reshape(1, -1) if array.ndim == 1 else array)
    out = StringIO()
    np.savetxt(out, prediction, delimiter=",", fmt="%s")
    return flask.Response(out.getvalue(), mimetype="text/csv")
"""
NGINX = """
worker_processes {workers}; daemon off; pid {build}/nginx.pid; error_log {build}/nginx.error.log;
events {{ worker_connections 2048; }}
http {{
  access_log {build}/nginx.access.log combined;
  client_body_temp_path {build}/body; proxy_temp_path {build}/proxy;
  fastcgi_temp_path {build}/fastcgi; uwsgi_temp_path {build}/uwsgi; scgi_temp_path {build}/scgi;
  upstream gunicorn {{ server unix:{build}/gunicorn.sock; }}
  server {{
    listen 127.0.0.1:{port} deferred; client_max_body_size 20m; keepalive_timeout 3;
    keepalive_requests 1000000;
    location ~ ^/(ping|invocations) {{
      proxy_set_header Host $http_host; proxy_redirect off; proxy_read_timeout 60s;
      proxy_pass http://gunicorn;
    }}
  }}
}}
"""
FASTAPI = """
import os
import joblib, numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
model = joblib.load(os.environ["BENCH_MODEL"])
app = FastAPI()

class Instances(BaseModel):
    instances: list[list[float]]

@app.post("/invocations")
def invocations(body: Instances):
    return {"predictions": model.predict(np.array(body.instances, dtype=np.float32)).tolist()}
"""
# Our own server with a handler that returns a constant.
FLOOR = """
import os, socket
import uvloop
from model.messages import Response
from model.server import listen
BENIGN = Response(200, b"text/csv", b"benign\\n")

class Constant:
    def handle(self, request):
        request.answer(BENIGN)

    def admit(self, request): ...
    def release(self, request): ...

listener = socket.create_server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])))
uvloop.run(listen(Constant(), listener))
"""
UVICORN_FLOOR = """
START = {"type": "http.response.start", "status": 200,
         "headers": [(b"content-type", b"text/csv"), (b"content-length", b"7")]}
BODY = {"type": "http.response.body", "body": b"benign\\n"}

async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(BODY)
"""
OURS_ALONE = """
import os, sys
from functools import partial
import model.server
model.server.Application = partial(model.server.Application, max_batch_size=1)
sys.exit(model.server.run(os.environ))
"""
# Our application behind other servers.
OURS_ASGI = """
import asyncio, os
from pathlib import Path
from model.application import Application
from model.messages import Request
from model.predictor import load
predictor, columns, _ = load(Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model")
ours = Application(predictor, columns, log_all=True)

async def app(scope, receive, send):
    answered = asyncio.get_running_loop().create_future()
    request = Request(lambda request, response: answered.set_result(response))
    request.method, request.url = scope["method"].encode(), scope["path"].encode()
    for name, value in scope["headers"]:
        if name == b"content-type":
            request.content_type = value
        elif name == b"accept":
            request.accept = value
    more = True
    while more:
        message = await receive()
        request.add(message.get("body", b""))
        more = message.get("more_body", False)
    request.complete()
    ours.handle(request)
    head, _, body = (await answered).keep_alive_bytes.partition(b"\\r\\n\\r\\n")
    if request.admitted:
        ours.release(request)
    status, *lines = head.split(b"\\r\\n")
    headers = [tuple(line.split(b": ", 1)) for line in lines]
    start = {"type": "http.response.start", "status": int(status.split()[1]), "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
"""
PROGRAMS = {
    "fit.py": FIT,
    "official.py": OFFICIAL,
    "fastapi_app.py": FASTAPI,
    "floor.py": FLOOR,
    "uvicorn_floor.py": UVICORN_FLOOR,
    "ours_alone.py": OURS_ALONE,
    "ours_asgi.py": OURS_ASGI,
}
# uvicorn at its fastest.
_UVICORN = (
    *("--loop", "uvloop", "--http", "httptools", "--lifespan", "off", "--ws", "none"),
    *("--no-access-log", "--no-server-header", "--no-date-header", "--no-proxy-headers"),
)


@dataclass(frozen=True, slots=True)
class Peer:
    """The definition of a server to compare.

    Attributes:
        commands: the command line of each of its processes.
        port: the port that it listens on.
        path: the path for requests.
        kind: format of the request body: csv, instances or v2.
        environment: environment variables of its processes.
    """

    commands: tuple[tuple[str, ...], ...]
    port: int
    path: str = "/invocations"
    kind: str = "csv"
    environment: Mapping[str, str] = field(default_factory=dict)


def prepare(*, with_mlserver: bool) -> tuple[str, str]:
    """Write the peers' programs and create their environments; return the paths of their Pythons.

    The second path, MLServer's, is empty without MLServer or if it cannot be installed.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    for name, text in PROGRAMS.items():
        (BUILD / name).write_text(text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    # The peers use the same versions of these packages as our server.
    same = ("numpy", "scikit-learn", "onnxruntime", "uvicorn")
    pinned = [f"{name}=={version(name)}" for name in same]
    peers = _environment("peers", [*extras["bench"], *extras["model"], *pinned])
    assert peers, "the peers' packages cannot be installed"
    if not with_mlserver:
        return peers, ""
    return peers, _environment("mlserver", ["mlserver", "mlserver-sklearn", pinned[1]])


def peers_of(
    model: str, base: Path, python: str, mlserver: str, port: int, workers: int = 1
) -> dict[str, Peer]:
    """Return the servers of a model by name; they listen on consecutive ports.

    Args:
        model: random-forest or hist-gradient-boosting.
        base: the SAGEMAKER_BASE_DIR of our own training.
        python: path of the peers' Python.
        mlserver: path of MLServer's Python; empty to exclude MLServer.
        port: the first port.
        workers: worker processes of our server and of the official structure.
    """
    pickled = BUILD / f"{model}.joblib"
    subprocess.run([python, str(BUILD / "fit.py"), model, str(pickled)], check=True)
    ours = {"SAGEMAKER_BASE_DIR": str(base), "SAGEMAKER_MODEL_SERVER_WORKERS": str(workers)}
    loaded = {"BENCH_MODEL": str(pickled), "PYTHONPATH": f"{BUILD}:{ROOT}"}
    found: dict[str, Peer] = {}

    def add(name: str, *command: str, kind: str = "csv", **environment: str) -> None:
        at = port + len(found)
        filled = tuple(part.format(port=at) for part in command)
        environment |= {"SAGEMAKER_BIND_TO_PORT": str(at)}
        found[name] = Peer((filled,), at, kind=kind, environment=environment)

    uvicorn = (*(python, "-m", "uvicorn", "--port", "{port}"), *_UVICORN)
    serve = (sys.executable, "-m", "model", "serve")
    add("ours", *serve, MODEL_LOG="all", **ours)
    without = _without_table(base)
    add("ours by ONNX Runtime", *serve, MODEL_LOG="all", **ours | {"SAGEMAKER_BASE_DIR": without})
    alone = (sys.executable, str(BUILD / "ours_alone.py"))
    add("ours, each row alone", *alone, MODEL_LOG="all", **loaded, **ours)
    add("HTTP floor", sys.executable, str(BUILD / "floor.py"), **loaded)
    add("uvicorn's HTTP floor", *uvicorn, "uvicorn_floor:app", **loaded)
    add("ours under uvicorn", *uvicorn, "ours_asgi:app", **loaded, **ours)
    granian = ("--interface", "asgi", "--port", "{port}", "--loop", "uvloop", "--no-ws")
    add("ours under granian", python, "-m", "granian", *granian, "ours_asgi:app", **loaded, **ours)
    at = port + len(found)
    found["official structure"] = Peer(_official(python, at, workers), at, environment=loaded)
    add("FastAPI + joblib", *uvicorn, "fastapi_app:app", kind="instances", **loaded)
    if mlserver:
        found["MLServer"] = _mlserver(mlserver, port + len(found), pickled, model)
    return found


def _without_table(base: Path) -> str:
    """Return a SAGEMAKER_BASE_DIR with the same model, but without its table of trees."""
    place = base.with_name(f"{base.name}-onnx")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base / "model", place / "model")
    (place / "model" / TABLE_FILE).unlink(missing_ok=True)
    return str(place)


def _official(python: str, port: int, workers: int) -> tuple[tuple[str, ...], ...]:
    gunicorn = (
        *(python, "-m", "gunicorn", "official:app", "-k", "gevent", "--timeout", "60"),
        *("--worker-connections", str(1000 * workers), "-w", str(workers)),
    )
    nginx = shutil.which("nginx")
    if nginx is None:
        return ((*gunicorn, "-b", f"127.0.0.1:{port}"),)
    place = BUILD / f"nginx-{port}"
    place.mkdir(exist_ok=True)
    (place / "nginx.conf").write_text(NGINX.format(workers=workers, build=place, port=port))
    return (
        (*gunicorn, "-b", f"unix:{place}/gunicorn.sock"),
        (nginx, "-e", f"{place}/nginx.error.log", "-c", str(place / "nginx.conf")),
    )


def _mlserver(python: str, port: int, pickled: Path, model: str) -> Peer:
    place = BUILD / f"mlserver-{model}"
    place.mkdir(exist_ok=True)
    settings = {
        "http_port": port,
        "grpc_port": port + 100,
        "metrics_port": port + 200,
        "parallel_workers": 0,
        "host": "127.0.0.1",
        "debug": False,
    }
    parameters = {"uri": str(pickled), "version": "1"}
    document = {
        "name": "bench",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": parameters,
    }
    (place / "settings.json").write_text(json.dumps(settings))
    (place / "model-settings.json").write_text(json.dumps(document))
    command = (str(Path(python).parent / "mlserver"), "start", str(place))
    return Peer((command,), port, path="/v2/models/bench/infer", kind="v2")


def _environment(name: str, packages: list[str]) -> str:
    place = BUILD / name
    python = place / "bin" / "python"
    try:
        if not (place / ".done").exists():
            subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, timeout=120)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *packages], check=True, timeout=600, env=dict(os.environ))
            (place / ".done").touch()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"excluded: {name}, whose packages cannot be installed ({type(error).__name__})")
        return ""
    return str(python)
