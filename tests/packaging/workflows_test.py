"""The workflows and templates of .github: rights, pins, limits, and whether what they call is there.

Prints a line a test; status 1 at the first that fails.
"""

import pathlib
import re
import sys

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
GITHUB = TOP / ".github"
PIN = re.compile(r"[\w.-]+(?:/[\w.-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
passed = 0


def yes(text, condition, what=""):
    global passed
    if not condition:
        sys.exit(f"not ok - {text}: {what}")
    passed += 1
    print(f"ok - {text}")


def targets():
    """Of the Makefile and what it includes."""
    files = [TOP / "Makefile", *TOP.glob("tests/*/*.mk"), *TOP.glob("server/*/*.mk")]
    return {name for file in files for line in re.findall(r"^([\w -]+):(?!=)", file.read_text(), re.M) for name in line.split()}


def writes(permissions):
    return {right for right, level in (permissions or {}).items() if level == "write"}


makes = targets()
pins = {}
for path in sorted(GITHUB.glob("workflows/*.yml")):
    text = path.read_text()
    flow = yaml.safe_load(text)
    name = path.name
    yes(f"{name}: says what has not been run", "Not run yet" in text.split("name:", 1)[0])
    yes(f"{name}: no right to write but where a job needs it",
        flow["permissions"] in ({}, {"contents": "read"}), flow["permissions"])
    given = set().union(*(writes(job.get("permissions")) for job in flow["jobs"].values()))
    yes(f"{name}: rights to write are a release's, or of findings",
        given <= ({"contents", "packages", "id-token", "attestations"} if name == "release.yml" else {"security-events"}), given)
    yes(f"{name}: each job ends", all(job["timeout-minutes"] <= 120 for job in flow["jobs"].values()))
    boxes = [job["container"] for job in flow["jobs"].values() if "container" in job]
    yes(f"{name}: process 1 of a container reaps what tests leave", all("--init" in box["options"].split() for box in boxes), boxes)
    yes(f"{name}: no trigger that gives a fork our secrets", not {"pull_request_target", "workflow_run"} & set(flow[True]))
    used = re.findall(r"\buses: (.*)", text)
    yes(f"{name}: actions are pinned by commit", used and all(PIN.fullmatch(use) for use in used), used)
    pins.update({use: name for use in used})
    yes(f"{name}: no text of others in a script", not [
        step["run"] for job in flow["jobs"].values() for step in job["steps"] if "${{" in step.get("run", "")])
    yes(f"{name}: checkouts keep no credentials",
        text.count("actions/checkout@") == text.count("persist-credentials: false"))
    runs = "\n".join(step.get("run", "") for job in flow["jobs"].values() for step in job["steps"])
    called = {word for line in re.findall(r"(?:^|&& )make ([^&|;\n]+)", runs, re.M) for word in line.split()
              if "=" not in word and re.fullmatch(r"[a-z-]+", word)}
    yes(f"{name}: make's targets are there", called <= makes, called - makes)
    files = set(re.findall(r"(?<![\w/$\"])((?:tests|server|\.ci)/[\w./-]+)", runs))
    yes(f"{name}: the files that it calls are there", all((TOP / file).exists() for file in files), files)

of_action = {}
for pin in pins:
    of_action.setdefault(pin.split("@")[0].split("/")[1], set()).add(pin.split("@")[1])
yes("one version of each action", all(len(versions) == 1 for versions in of_action.values()), of_action)
dependabot = yaml.safe_load((GITHUB / "dependabot.yml").read_text())
yes("Dependabot looks after the actions", [one["package-ecosystem"] for one in dependabot["updates"]] == ["github-actions"])
for path in [*GITHUB.glob("ISSUE_TEMPLATE/*.md"), GITHUB / "pull_request_template.md"]:
    yes(f"{path.name}: at most ten lines", len(path.read_text().splitlines()) <= 10)
for path in GITHUB.glob("ISSUE_TEMPLATE/*.md"):
    head = yaml.safe_load(path.read_text().split("---")[1])
    yes(f"{path.name}: name and about", set(head) == {"name", "about"} and all(head.values()))
print(f"{passed} passed, 0 failed")
