package main

import (
	"cmp"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// completeStore completes the URL of a store. A file comes behind "sqlite:", where no shell
// looks for one.
func completeStore(begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	if path, ok := strings.CutPrefix(begun, "sqlite:"); ok {
		for _, file := range filesFrom(path) {
			all = append(all, "sqlite:"+file)
		}
	}
	for _, form := range []struct{ scheme, what string }{
		{"sqlite:", "a file, for members of one host"},
		{"etcd://", "an etcd cluster, for members of many hosts"},
		{"etcds://", "the same over TLS"},
	} {
		if strings.HasPrefix(form.scheme, begun) && form.scheme != begun {
			all = append(all, cobra.CompletionWithDesc(form.scheme, form.what))
		}
	}
	return all, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp // more follows
}

// filesFrom are the files and folders whose paths begin so.
func filesFrom(begun string) (all []string) {
	slash := strings.LastIndexByte(begun, '/') + 1
	folder, first := begun[:slash], begun[slash:]
	entries, _ := os.ReadDir(cmp.Or(folder, ".")) // none, if it cannot be read
	for _, e := range entries {
		path := folder + e.Name()
		if e.IsDir() {
			path += "/"
		}
		hidden := strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(first, ".")
		if strings.HasPrefix(path, begun) && !hidden && typeable(path, begun) {
			all = append(all, path)
		}
	}
	return all
}
