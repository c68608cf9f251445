# The pictures of server/docs that scripts make. `make pictures` makes all of them again, from new measurements: build with
# LTO=no, on a machine that does nothing else. It needs prometheus, valgrind, and what `make demo` needs.
PICTURES := server/docs/event.svg server/docs/dashboard.svg server/docs/demo.svg server/docs/watch.svg
PICTURED := $(BUILD)/pictures

.PHONY: pictures $(PICTURES)
# one after the other: each measures
pictures: ## measure and record again what server/docs shows (LTO=no; an idle machine)
	+@for picture in $(PICTURES); do $(MAKE) --no-print-directory $$picture || exit 1; done
	@tests/lint/check-pictures.py $(PICTURES)

$(PICTURED):
	@mkdir -p $@

server/docs/event.svg: $(SERVER) $(BENCH_TOOLS) | $(PICTURED)
	tests/bench/event_time.py measure --build $(BUILD) $(PICTURED)/event.json
	tests/bench/event_time.py draw $(PICTURED)/event.json $@

server/docs/dashboard.svg: $(SERVER) $(GETTERS) $(BENCH_TOOLS) | $(PICTURED)
	tests/bench/dashboard_picture.py measure --build $(BUILD) $(PICTURED)/dashboard.json
	tests/bench/dashboard_picture.py draw $(PICTURED)/dashboard.json $@

server/docs/demo.svg: demo-build | $(PICTURED)
	tests/bench/terminal.py record $(PICTURED)/demo.cast --columns 82 --rows 27 -- make demo
	tests/bench/terminal.py render $(PICTURED)/demo.cast $@ --title 'make demo' --pause 1 --least 0.3

server/docs/watch.svg: $(SERVER) $(BENCH_TOOLS) | $(PICTURED)
	tests/bench/record-watch.sh $(BUILD) $(PICTURED)/watch.cast
	tests/bench/terminal.py render $(PICTURED)/watch.cast $@ --title 'apiversion-server --status --watch' --pause 2
