# Writing a plugin, as its author does it. The Makefile includes this.
.PHONY: test-author
test-author: all $(KONG_LIB) ## what an author of plugins does, in this tree and outside
	@tests/plugins/new_plugin_test.sh $(MAKE) $(BUILD)
	@tests/plugins/out_of_tree_test.sh $(MAKE)
