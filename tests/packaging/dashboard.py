"""The dashboard for Grafana, compared with what a server serves.

dashboard.py check DASHBOARD METRICS   is it in order, and does it name what is served?
dashboard.py names FILE METRICS        is what a file names served?
dashboard.py ask DASHBOARD URL         has the Prometheus at URL an answer to each of its queries?
"""

import json
import re
import sys
import urllib.parse
import urllib.request

PREFIX = "kong_plugin_server_"
FROM_PROMETHEUS = {"instance", "job", "le"}


def served(path):
    """The served families (histograms by the names of their series), each with its labels."""
    labels = {}
    types = {}
    for line in open(path):
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            types[name] = kind
            for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
                labels[name + suffix] = set()
        elif not line.startswith("#"):
            name, inside = re.match(r"(\w+)\{(.*)\} ", line).groups()
            labels[name] |= set(re.findall(r'(\w+)="', inside))
    return labels


def named(text):
    return set(re.findall(PREFIX + r"\w+", text))


def queries(dashboard):
    return [(panel, target) for panel in dashboard["panels"] for target in panel.get("targets", [])]


def cells(panel):
    at = panel["gridPos"]
    return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}


def faults(dashboard, labels):
    taken, ids = {}, set()
    for panel in dashboard["panels"]:
        if panel["id"] in ids:
            yield f"panel {panel['id']} is there twice"
        ids.add(panel["id"])
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
            yield f"panel {panel['id']} is beyond the grid"
        for cell in cells(panel):
            if cell in taken:
                yield f"panel {panel['id']} lies on panel {taken[cell]}"
                break
            taken[cell] = panel["id"]
        refs = [target["refId"] for target in panel.get("targets", [])]
        if len(refs) != len(set(refs)) or (panel["type"] != "row" and not refs):
            yield f"panel {panel['id']}: its queries' letters are {refs}"
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    for name in set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) - variables - {"__rate_interval", "__all"}:
        yield f"${name} is no variable"
    for panel, target in queries(dashboard):
        query = target["expr"]
        has = set.union(set(), *(labels.get(name, set()) for name in named(query))) | FROM_PROMETHEUS
        wanted = set(re.findall(r"(\w+)=~?\"", query)) | set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        for by in re.findall(r"by \(([^)]*)\)", query):
            wanted |= set(re.split(r",\s*", by))
        for label in wanted - has:
            yield f"panel {panel['id']}: no label {label} in {query}"
    shown = named(json.dumps([target["expr"] for _, target in queries(dashboard)]))
    for name in named(json.dumps(dashboard)) - set(labels):
        yield f"{name} is not served"
    for name in set(labels) - shown:
        yield f"{name} is not shown"


def ask(dashboard, url):
    for panel, target in queries(dashboard):
        query = target["expr"].replace("$__rate_interval", "10s").replace("$plugin", ".*").replace("$instance", ".*")
        answer = urllib.request.urlopen(url + "/api/v1/query?query=" + urllib.parse.quote(query), timeout=10)
        result = json.load(answer)["data"]["result"]
        if not result:
            yield f"panel {panel['id']}, {panel['title']}: no answer to {query}"
        for series in result:
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                if label not in series["metric"]:
                    yield f"panel {panel['id']}, {panel['title']}: no label {label} in {series['metric']}"


def main(what, file, other):
    if what == "check":
        found = list(faults(json.load(open(file)), served(other)))
    elif what == "names":
        names = {re.sub("_count$", "", name) for name in served(other)} | set(served(other))
        found = [f"{name} is not served" for name in named(open(file).read()) - names]
    else:
        found = list(ask(json.load(open(file)), other))
    print("\n".join(found))
    return 1 if found else 0


sys.exit(main(*sys.argv[1:]))
