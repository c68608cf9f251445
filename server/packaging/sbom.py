"""What is linked into the packages, as SPDX 2.3 (JSON): sbom.py VERSION SECONDS <LINES >FILE

SECONDS is the time that it tells, since 1970. LINES: "file PATH", a package that is described, then "library PATH" for each
static library in it, as the linker was given it. Versions are those of the Debian packages that the libraries come from:
dpkg knows those of this machine, tests/other/sysroot those of its directories.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import uuid

# name of the archive -> the library's own name, its license
KNOWN = {
    "libuv_a.a": ("libuv", "MIT"),
    "libuv.a": ("libuv", "MIT"),
    "libmsgpackc.a": ("msgpack-c", "BSL-1.0"),
    "libmsgpack-c.a": ("msgpack-c", "BSL-1.0"),
    "libprotobuf-c.a": ("protobuf-c", "BSD-2-Clause"),
    "libjansson.a": ("jansson", "MIT"),
    "libboost_context.a": ("boost-context", "BSL-1.0"),
    "libc.a": ("glibc", "LGPL-2.1-or-later"),
    "libgcc.a": ("libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    "libgcc_eh.a": ("libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1"),
}


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def distribution():
    try:
        with open("/etc/os-release") as file:
            return re.search(r"^ID=\"?([a-z]+)", file.read(), re.M).group(1)
    except (OSError, AttributeError):
        return "debian"


def origin(path):
    """The Debian package of a library's file: name, version, architecture."""
    sysroot, found, inside = path.partition("/sysroot/")
    if found:
        with open(sysroot + "/sysroot/packages") as file:
            for line in file:
                name, *package = line.split()
                if name == inside:
                    return package
        sys.exit(f"sbom: {path} is of no package in {sysroot}/sysroot/packages")
    try:
        said = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=True).stdout
        fields = "${Package} ${Version} ${Architecture}"
        about = ["dpkg-query", "-W", "-f", fields, said.split(": ")[0].split(",")[0]]
        return subprocess.run(about, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        sys.exit(f"sbom: {path} is of no Debian package: its version is not known")


def upstream(version):
    """Debian's version without what is Debian's: 1:4.0.0+ds1-3 is 4.0.0."""
    return re.sub(r"(\+(ds|dfsg).*)?-[^-]*$", "", version.partition(":")[2] or version)


def purl(package, version, architecture):
    return f"pkg:deb/{distribution()}/{package}@{version.replace(':', '%3A').replace('+', '%2B')}?arch={architecture}"


def entry(ref, name, version, license, **more):
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", ref),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": license,
        "copyrightText": "NOASSERTION",
        **more,
    }


def library(path):
    path = os.path.realpath(path)
    if os.path.basename(path) not in KNOWN:
        sys.exit(f"sbom: {path} is linked and not known here: name it and its license in KNOWN")
    name, license = KNOWN[os.path.basename(path)]
    package, version, architecture = origin(path)
    reference = {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": purl(package, version, architecture),
    }
    return entry(f"{name}-{package}-{architecture}", name, upstream(version), license, externalRefs=[reference])


def main():
    version, seconds = sys.argv[1], int(sys.argv[2])
    packages, relations, sums = {}, [], ""
    made = None
    for line in sys.stdin:
        kind, path = line.rstrip("\n").split(" ", 1)
        if kind == "file":
            name, digest = os.path.basename(path), sha256(path)
            sums += f"{digest}  {name}\n"
            checksum = {"algorithm": "SHA256", "checksumValue": digest}
            product = re.match(r"[a-z-]+[a-z]", name).group()
            made = entry(name, product, version, "Apache-2.0", packageFileName=name, checksums=[checksum])
            relation = {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": made["SPDXID"]}
            packages[made["SPDXID"]] = made
        else:
            found = library(path)
            packages[found["SPDXID"]] = found
            relation = {"spdxElementId": made["SPDXID"], "relationshipType": "STATIC_LINK", "relatedSpdxElement": found["SPDXID"]}
        if relation not in relations:
            relations.append(relation)
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"apiversion-server-{version}",
        "documentNamespace": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, sums)}",
        "creationInfo": {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
            "creators": ["Tool: apiversion-server-sbom.py"],
        },
        "packages": list(packages.values()),
        "relationships": relations,
    }
    json.dump(document, sys.stdout, indent=2)
    print()


main()
