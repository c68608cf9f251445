"""The SBOM of packages: sbom_test.py FILE DIRECTORY-OF-THE-PACKAGES"""

import hashlib
import json
import re
import sys

LIBRARIES = {"libuv", "msgpack-c", "protobuf-c", "jansson", "boost-context"}

document = json.load(open(sys.argv[1]))
assert document["spdxVersion"] == "SPDX-2.3" and document["dataLicense"] == "CC0-1.0"
assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["creationInfo"]["created"])
assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", document["documentNamespace"])
packages = {package["SPDXID"]: package for package in document["packages"]}
assert len(packages) == len(document["packages"]), "an id stands twice"
for ref, package in packages.items():
    assert re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", ref), ref
    assert package["versionInfo"] and package["licenseDeclared"] and package["downloadLocation"], ref
described, linked = set(), {}
for relation in document["relationships"]:
    a, b = relation["spdxElementId"], relation["relatedSpdxElement"]
    assert b in packages and (a in packages or a == "SPDXRef-DOCUMENT"), relation
    if relation["relationshipType"] == "DESCRIBES":
        described.add(b)
    else:
        assert relation["relationshipType"] == "STATIC_LINK", relation
        linked.setdefault(a, set()).add(b)
assert set(packages) == described | set().union(*linked.values()), "a package has no place"
for ref in described:
    package = packages[ref]
    data = open(f"{sys.argv[2]}/{package['packageFileName']}", "rb").read()
    assert package["checksums"] == [{"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()}], ref
    assert package["name"] == ("libkongpdk-dev" if "libkongpdk" in ref else "apiversion-server"), ref
    libraries = {packages[other]["name"] for other in linked[ref]}
    wanted = LIBRARIES | ({"glibc", "libgcc"} if ref.endswith(".tar.gz") else set())
    assert libraries == wanted, f"{ref}: {libraries} instead of {wanted}"
    architecture = "arm64" if re.search("arm64|aarch64", ref) else "amd64"
    for other in linked[ref]:
        locator = packages[other]["externalRefs"][0]["referenceLocator"]
        assert re.fullmatch(r"pkg:deb/[a-z]+/[a-z0-9.+-]+@[A-Za-z0-9.%~-]+\?arch=[a-z0-9]+", locator), locator
        assert architecture in locator, f"{ref}: {locator}"
print(f"{len(described)} packages, {len(packages) - len(described)} libraries")
