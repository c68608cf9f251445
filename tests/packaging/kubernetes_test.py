"""What server/packaging/kubernetes says, read as YAML and held against the server and the Dockerfile.

    kubernetes_test.py SERVER

The environment is compared with --print-conf, configurations go through --check-config, the probe is run against a server
that is started as the start command says. Prints a line a test; status 1 at the first that fails.
"""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = TOP / "server/packaging/kubernetes"
IN_POD = "/opt/apiversion-server/apiversion-server"
passed = 0


def yes(text, condition, what=""):
    global passed
    if not condition:
        sys.exit(f"not ok - {text}: {what}")
    passed += 1
    print(f"ok - {text}")


def same(text, found, wanted):
    yes(text, found == wanted, f"{found!r} is not {wanted!r}")


def read_all(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def of_kind(documents, kind):
    return next(document for document in documents if document["kind"] == kind)


def printed(server, start_cmd):
    """The variables of --print-conf for the options of a start command."""
    out = subprocess.run([server, "--print-conf", "--env", *shlex.split(start_cmd)[1:]],
                         check=True, capture_output=True, text=True).stdout.replace(server, IN_POD)
    words = [shlex.split(line) for line in out.splitlines() if not line.startswith("#")]
    return dict(word[0].split("=", 1) for word in words)


def check_environment(text, server, found):
    start = found["KONG_PLUGINSERVER_APIVERSION_SERVER_START_CMD"]
    same(f"{text}: the environment is the one of --print-conf", found, printed(server, start))


def check_containers(text, pod, more=None):
    for container in pod.get("initContainers", []) + pod.get("containers", []):
        rights = {**(more or {}), **pod.get("securityContext", {}), **container.get("securityContext", {})}
        yes(f"{text}, {container['name']}: not as root, nothing to gain, its file system read-only",
            rights.get("runAsNonRoot") and rights.get("readOnlyRootFilesystem")
            and rights.get("allowPrivilegeEscalation") is False and rights["capabilities"]["drop"] == ["ALL"], rights)
        resources = container["resources"]
        yes(f"{text}, {container['name']}: what it asks for, and its limit of memory",
            {"cpu", "memory"} <= set(resources["requests"]) and "memory" in resources["limits"], resources)
        volumes = {volume["name"] for volume in pod["volumes"]}
        yes(f"{text}, {container['name']}: its mounts are volumes of the pod",
            {mount["name"] for mount in container["volumeMounts"]} <= volumes, container["volumeMounts"])


def check_probe(server, start_cmd, probe, scratch):
    """Started as Kong would start it, but for the places; asked as the kubelet would ask."""
    here = {IN_POD: server, "/kong_prefix": str(scratch), "public:0.0.0.0:9542": f"unix:{scratch}/figures"}

    def moved(words):
        for there, place in here.items():
            words = [word.replace(there, place) for word in words]
        return words

    def ask():
        return subprocess.run(moved(probe), capture_output=True, timeout=60)

    same("the probe: status 1 and not a word while nobody serves", (ask().returncode, ask().stderr), (1, b""))
    running = subprocess.Popen(moved(shlex.split(start_cmd)), stderr=subprocess.DEVNULL)
    try:
        for _ in range(1000):
            if ask().returncode == 0 or running.poll() is not None:
                break
            time.sleep(0.05)
        answer = ask()
        same("the probe: status 0 and not a word while it serves", (answer.returncode, answer.stdout, answer.stderr),
             (0, b"", b""))
    finally:
        running.terminate()
        running.wait()


def check_config(text, server, plugin, wanted_name):
    same(f"{text}: the plugin's name", plugin.get("plugin", plugin.get("name")), wanted_name)
    done = subprocess.run([server, "--check-config", "-"], input=json.dumps(plugin["config"]), capture_output=True, text=True)
    yes(f"{text}: the plugin takes this configuration", done.returncode == 0, done.stdout + done.stderr)


def main(server, scratch):
    values = read_all(HERE / "helm/kong.yaml")[0]
    base = read_all(HERE / "kong/kong.yaml")
    deployment = of_kind(base, "Deployment")["spec"]["template"]
    kong = deployment["spec"]["containers"][0]

    # --- the environment: as kong.conf's keys in the chart's values, as variables in a container
    in_chart = {f"KONG_{key.upper()}": value for key, value in values["env"].items() if key.startswith("plugin")}
    in_base = {one["name"]: one["value"] for one in kong["env"] if one["name"].startswith("KONG_PLUGIN")}
    check_environment("helm/kong.yaml", server, in_chart)
    check_environment("kong/kong.yaml", server, in_base)
    same("both start the server alike", in_chart, in_base)
    yes("numbers and switches of the environment are texts",
        all(isinstance(one["value"], str) for one in kong["env"]) and all(isinstance(one, str) for one in values["env"].values()))

    # --- who may do what
    chart_pod = {"initContainers": values["deployment"]["initContainers"],
                 "containers": [{"name": "proxy", "securityContext": values["containerSecurityContext"],
                                 "resources": values["resources"], "volumeMounts": values["deployment"]["userDefinedVolumeMounts"]}],
                 "volumes": values["deployment"]["userDefinedVolumes"]}
    check_containers("helm/kong.yaml", chart_pod)
    check_containers("kong/kong.yaml", deployment["spec"])
    for text, pod in ("helm/kong.yaml", chart_pod), ("kong/kong.yaml", deployment["spec"]):
        init = pod["initContainers"][0]
        same(f"{text}: what is copied is where Kong starts it", init["command"], ["cp", "/apiversion-server", f"{os.path.dirname(IN_POD)}/"])
        same(f"{text}: into what both mount", {mount["mountPath"] for mount in init["volumeMounts"]}, {os.path.dirname(IN_POD)})
        yes(f"{text}: which Kong does not change", any(
            mount["mountPath"] == os.path.dirname(IN_POD) and mount["readOnly"] for mount in pod["containers"][0]["volumeMounts"]))
    socket = in_base["KONG_PLUGINSERVER_APIVERSION_SERVER_SOCKET"]
    writable = {mount["mountPath"] for mount in kong["volumeMounts"] if not mount.get("readOnly")}
    yes("kong/kong.yaml: the socket is where Kong may write", os.path.dirname(socket) in writable, writable)
    overlay = read_all(HERE / "helm/image-volume.yaml")[0]["deployment"]
    same("helm/image-volume.yaml: nothing is copied, the volume keeps its name",
         ([], [volume["name"] for volume in overlay["userDefinedVolumes"]]),
         (overlay["initContainers"], [volume["name"] for volume in chart_pod["volumes"]]))

    # --- the probe
    same("both ask alike", values["startupProbe"], kong["startupProbe"])
    check_probe(server, in_base["KONG_PLUGINSERVER_APIVERSION_SERVER_START_CMD"], kong["startupProbe"]["exec"]["command"], scratch)

    # --- images
    dockerfile = (TOP / "server/packaging/docker/Dockerfile").read_text()
    same("the images of Kong are the Dockerfile's", {f"{values['image']['repository']}:{values['image']['tag']}", kong["image"]},
         {re.search(r"^ARG KONG_IMAGE=(.*)$", dockerfile, re.M).group(1)})
    yes("the Dockerfile's stage plugin has what is copied",
        re.search(r" AS plugin\nCOPY --from=build \S+ /apiversion-server\n", dockerfile))
    version = subprocess.run([server, "--version"], check=True, capture_output=True, text=True).stdout
    version = re.search(r"^server ([^ +]+)", version, re.M).group(1)
    ours = {chart_pod["initContainers"][0]["image"], deployment["spec"]["initContainers"][0]["image"],
            overlay["userDefinedVolumes"][0]["image"]["reference"]}
    same("the image of the server is one, of this version", ours, {f"registry.example.com/apiversion-server:{version}"})

    # --- configurations
    name = json.loads(subprocess.run([server, "--dump"], check=True, capture_output=True).stdout)["Plugins"][0]["Name"]
    for plugin in read_all(HERE / "plugins/plugins.yaml"):
        check_config(plugin["kind"], server, plugin, name)
    declared = yaml.safe_load((HERE / "kong/kong.yml").read_text())
    check_config("kong.yml", server, declared["services"][0]["plugins"][0], name)
    same("helm/kong.yaml declares the same as kong.yml", yaml.safe_load(values["dblessConfig"]["config"]), declared)

    # --- figures
    figures = read_all(HERE / "monitoring/figures.yaml")
    service, monitor = of_kind(figures, "Service"), of_kind(figures, "ServiceMonitor")
    labels = service["spec"]["selector"].items()
    yes("the Service for the figures finds the pods of both",
        labels <= values["podLabels"].items() and labels <= deployment["metadata"]["labels"].items(), labels)
    yes("the ServiceMonitor finds that Service",
        monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items())
    same("by its port's name", monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"])
    start = shlex.split(in_base["KONG_PLUGINSERVER_APIVERSION_SERVER_START_CMD"])
    same("which is the one of --metrics-listen", f":{service['spec']['ports'][0]['targetPort']}",
         start[start.index("--metrics-listen") + 1][-5:])

    # --- what the kustomizations name is there
    for kustomization in [*HERE.glob("*/kustomization.yaml"), TOP / "server/packaging/grafana/kustomization.yaml"]:
        said = yaml.safe_load(kustomization.read_text())
        named = said.get("resources", []) + [file for one in said.get("configMapGenerator", []) for file in one["files"]]
        yes(f"{kustomization.parent.name}/kustomization.yaml: what it names is there",
            named and all((kustomization.parent / path).exists() for path in named), named)
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        link = os.path.join(directory, "apiversion-server")
        os.symlink(os.path.realpath(sys.argv[1]), link)
        main(link, pathlib.Path(directory))
