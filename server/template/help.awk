# `make help`: lines "target: … ## what it does", sorted; the targets of the groups in the order given here.
BEGIN {
    group[1] = "To begin with:all demo run demo-kong deps"
    group[2] = "A plugin of your own:new-plugin dev load docs examples"
    group[3] = "Install, package:install uninstall deb tarball static"
    group[4] = "Test:unit test test-all lint format"
    groups = 4
}
{
    target = $0
    sub(/:.*/, "", target)
    sub(/.*## */, "")
    about[target] = $0
    targets[++count] = target
}
function show(target) {
    if (target in about) printf "  %-19s %s\n", target, about[target]
    shown[target] = 1
}
END {
    for (i = 1; i <= groups; i++) {
        split(group[i], part, ":")
        print (i > 1 ? "\n" : "") part[1]
        n = split(part[2], names, " ")
        for (k = 1; k <= n; k++) show(names[k])
    }
    print "\nEach kind of test, measurements, the rest"
    for (i = 1; i <= count; i++) if (!(targets[i] in shown)) show(targets[i])
}
