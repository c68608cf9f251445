#!/usr/bin/env bash
# The files for Kubernetes and for GitHub: their form, and what the tools say that are here.
#
#   tests/packaging/deploy_test.sh SERVER
#
#   KONG_CHARTS          a checkout of Kong's charts (its directory charts): helm renders the chart "kong" with our values
#   KUBERNETES_SCHEMAS   a schema location for kubeconform: what is rendered is checked by it; CRD_SCHEMAS: another one, for
#                        the kinds of Kong and of the Prometheus operator
set -euo pipefail
cd "$(dirname "$0")/../.."
server=$(realpath "${1:-build/apiversion-server}")
kubernetes=server/packaging/kubernetes
passed=0
dir=$(mktemp -d)
trap 'rm -rf --one-file-system "$dir"' EXIT

yes() { # TEXT COMMAND…
    local text=$1
    shift
    "$@" >"$dir/out" 2>&1 || { echo "not ok - $text: $*" && cat "$dir/out" && exit 1; }
    passed=$((passed + 1))
    echo "ok - $text"
}

# --- form ----------------------------------------------------------------------------------------------------
if python=$(for p in python3 /usr/bin/python3; do "$p" -c 'import yaml' 2>/dev/null && echo "$p" && break; done); then
    "$python" -B tests/packaging/kubernetes_test.py "$server"
    "$python" -B tests/packaging/workflows_test.py
else
    echo 'SKIPPED - no python3 with yaml: the files for Kubernetes and GitHub were not read (package python3-yaml)'
fi
if command -v actionlint >/dev/null; then
    yes 'actionlint finds nothing' actionlint
else
    echo 'SKIPPED - actionlint is not installed: it did not look at the workflows'
fi

# --- kustomize -------------------------------------------------------------------------------------------------
if command -v kubectl >/dev/null; then
    build=(kubectl kustomize)
elif command -v kustomize >/dev/null; then
    build=(kustomize build)
else
    build=()
    echo 'SKIPPED - neither kubectl nor kustomize is installed: nothing was built with kustomize'
fi
if [ ${#build[@]} -gt 0 ]; then
    for part in kong plugins monitoring; do
        yes "kustomize builds $part" sh -c 'out=$1 && shift && "$@" >"$out"' sh "$dir/$part.yaml" "${build[@]}" $kubernetes/$part
    done
    if [ -n "$python" ]; then
        yes 'the dashboard in the ConfigMap is the committed one, byte by byte' "$python" -c '
import sys, yaml
[found] = [one["data"] for one in yaml.safe_load_all(open(sys.argv[1])) if one["kind"] == "ConfigMap"]
assert found == {"kong-plugin-server.json": open(sys.argv[2]).read()}
' "$dir/monitoring.yaml" server/packaging/grafana/kong-plugin-server.json
    fi
fi

# --- Kong's chart ------------------------------------------------------------------------------------------------
render() { # NAME VALUES…: needs no network, so without the database's chart, which is off
    local name=$1 values=() one
    shift
    for one; do values+=(-f "$kubernetes/helm/$one.yaml"); done
    helm template kong "$dir/chart" --kube-version 1.33.0 "${values[@]}" >"$dir/helm-$name.yaml"
}

in_gateway() { # the chart "ingress" has the values of "kong" under gateway
    { echo gateway: && sed 's/^/  /' $kubernetes/helm/kong.yaml; } >"$dir/gateway.yaml" &&
        helm template kong "$dir/ingress" --kube-version 1.33.0 -f "$dir/gateway.yaml" >"$dir/helm-gateway.yaml"
}

if command -v helm >/dev/null && [ -n "${KONG_CHARTS:-}" ]; then
    mkdir -p "$dir/ingress/charts"
    cp -r "$KONG_CHARTS/kong" "$dir/chart"
    sed -i '/^dependencies:/,$d' "$dir/chart/Chart.yaml"
    yes 'helm lint' helm lint "$dir/chart" -f $kubernetes/helm/kong.yaml
    yes "helm renders Kong's chart" render kong kong
    yes "helm renders Kong's chart with an image volume" render image kong image-volume
    yes "helm renders Kong's chart with its ingress controller" render ingress kong ingress
    cp -r "$KONG_CHARTS/ingress/." "$dir/ingress"
    cp -r "$dir/chart" "$dir/ingress/charts/kong"
    sed -i "s/^version: .*/version: $(sed -n 's/^ *version: "=\(.*\)"/\1/p' "$dir/ingress/Chart.yaml" | sed -n 1p)/" "$dir/ingress/charts/kong/Chart.yaml"
    yes "helm renders Kong's chart for the ingress controller" in_gateway
    for one in kong image ingress gateway; do
        yes "what helm renders ($one) has the start command" grep -q 'value: "/opt/apiversion-server/apiversion-server --socket ' "$dir/helm-$one.yaml"
    done
else
    echo "SKIPPED - no helm, or KONG_CHARTS names no charts: Kong's chart was not rendered with our values"
fi
if command -v kubeconform >/dev/null && [ -n "${KUBERNETES_SCHEMAS:-}" ]; then
    for rendered in "$dir"/*.yaml; do
        [ "$rendered" != "$dir/gateway.yaml" ] || continue # values
        yes "kubeconform: $(basename "$rendered")" kubeconform -strict -summary -kubernetes-version 1.33.0 \
            -schema-location "$KUBERNETES_SCHEMAS" ${CRD_SCHEMAS:+-schema-location "$CRD_SCHEMAS"} "$rendered"
    done
else
    echo 'SKIPPED - no kubeconform, or KUBERNETES_SCHEMAS is not set: nothing was checked by the schemas of Kubernetes'
fi
echo "$passed passed, 0 failed"
