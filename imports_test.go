package tenure_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tests of this file read the imports of every file of the repository: of
// all modules, and for all systems. "go list" would see those of one system, and
// its results would be cached although the files have changed.

const rootPath = "github.com/tenure-go/tenure"

// A unit is a package with all that lies below it: "." is the root package,
// without what lies below; "store" is the contract, "store/*" a driver.
func unit(dir string) string {
	first, rest, below := strings.Cut(dir, "/")
	switch first {
	case "cmd", "examples", "internal", "store", "tools":
		if below {
			second, _, _ := strings.Cut(rest, "/")
			return first + "/" + second
		}
	}
	return first
}

// directions says what a unit may import of this repository besides itself. The
// first entry that matches holds.
var directions = []struct {
	unit  string
	may   []string
	tests []string // and what its tests may import as well
	why   string
}{
	{unit: "store", tests: []string{"store/memstore", "store/storetest", "store/faultstore"},
		why: "the contract stands on nothing, so that everything can stand on it"},
	{unit: "store/internal", may: []string{"store"}, tests: []string{"store/memstore"},
		why: "what drivers share knows no driver"},
	{unit: "store/*", may: []string{"store", "store/internal"},
		tests: []string{"store/memstore", "store/storetest", "store/faultstore", "internal/requirestore", "internal/etcdtest", "internal/operatetest", "internal/clustertest", ".", "cluster", "tenuretest"},
		why:   "drivers import store only: they translate, and know neither elections nor each other (their tests hold elections)"},
	{unit: "internal/protocol", may: []string{"store"}, tests: []string{"store/memstore", "store/faultstore", "tenuretest"},
		why: "the protocol is sans I/O: events in, actions out"},
	{unit: "internal/operatetest", may: []string{".", "store", "tenuretest"}, tests: []string{"store/memstore"},
		why: "what tests of several stores share"},
	{unit: "internal/clustertest", may: []string{".", "cluster", "store", "internal/protocol"},
		why: "what tests of clusters over several stores share"},
	{unit: "internal/*", may: []string{"store", "internal/*"},
		why: "tenure -> internal -> store"},
	{unit: ".", may: []string{"store", "internal/*"},
		tests: []string{"store/memstore", "store/storetest", "store/faultstore", "tenuretest"},
		why:   "tenure -> store: the core knows no driver and nothing that is built on it"},
	{unit: "promtrace", may: []string{".", "store"}, tests: []string{"store/memstore", "store/faultstore", "internal/requirestore"},
		why: "promtrace -> tenure: metrics of any store are the same"},
	{unit: "examples/*", may: []string{".", "cluster", "embedded", "promtrace", "raftlead", "store", "store/*", "tenuretest"},
		why: "examples are copied: they import what their readers can"},
	{unit: "*", may: []string{".", "*", "*/*"}},   // cluster and its like
	{unit: "*/*", may: []string{".", "*", "*/*"}}, // commands
}

// impure is what lets I/O, clocks, goroutines and chance into a package; it
// includes what lies below each.
var impure = []string{"context", "crypto", "io", "log", "math/rand", "net", "os", "runtime", "sync", "syscall", "unsafe"}

// imports is one import of one file.
type imports struct {
	dir     string // of the importing package, "." for the root
	test    bool   // the importing file is a test
	foreign bool   // the importing package is not of the root module
	path    string
}

// refusal says why the import is against the rules; it is "" if it is not.
func (i imports) refusal() string {
	from := unit(i.dir)
	if under(i.path, "testing") && !i.test && from != "test" {
		return "what is no test does not import testing: it would end up in users' programs"
	}
	if from == "internal/protocol" && !i.test && slices.ContainsFunc(impure, func(p string) bool { return under(i.path, p) }) {
		return "the protocol is sans I/O: no goroutine, clock, store or randomness inside it"
	}
	if !under(i.path, rootPath) {
		if host, _, _ := strings.Cut(i.path, "/"); strings.Contains(host, ".") && !i.foreign {
			return "the root module requires nothing outside the standard library"
		}
		return ""
	}
	to := unit(strings.TrimPrefix(strings.TrimPrefix(i.path, rootPath), "/"))
	if to == "" {
		to = "."
	}
	switch {
	case from == to:
		return ""
	case to == "test":
		return "nothing imports test/: it is made of what users must not get"
	case strings.HasPrefix(to, "examples/"):
		return "nothing imports examples/: they are for reading"
	case to == "cmd" || strings.HasPrefix(to, "cmd/"):
		return "nothing imports cmd/: it is the top of the house"
	case slices.Contains([]string{"internal/requirestore", "internal/etcdtest", "internal/operatetest", "internal/clustertest"}, to) && !i.test && from != "test":
		return "only tests import " + to
	}
	matches := func(pattern string) bool { ok, _ := path.Match(pattern, to); return ok }
	for _, d := range directions {
		if ok, _ := path.Match(d.unit, from); !ok {
			continue
		}
		if slices.ContainsFunc(d.may, matches) || i.test && slices.ContainsFunc(d.tests, matches) {
			return ""
		}
		return d.why
	}
	return "no rule for " + from
}

// under reports whether p is the package or lies below it.
func under(p, pkg string) bool { return p == pkg || strings.HasPrefix(p, pkg+"/") }

func TestImportDirections(t *testing.T) {
	modules, files := repository(t)
	fset, seen := token.NewFileSet(), map[string]int{}
	for _, file := range files {
		f, err := parser.ParseFile(fset, file, nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			continue
		}
		module := moduleOf(modules, path.Dir(file))
		seen[module]++
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			i := imports{dir: path.Dir(file), test: strings.HasSuffix(file, "_test.go"), foreign: module != ".", path: p}
			if why := i.refusal(); why != "" {
				t.Errorf("%s imports %s: %s", fset.Position(spec.Pos()), p, why)
			}
		}
	}
	t.Logf("files of each module: %v", seen)
}

// Without this the rules could be broken by a slip in refusal, unseen.
func TestImportDirectionsRefuse(t *testing.T) {
	for _, c := range []struct {
		imports
		why string // "" if it is allowed
	}{
		{imports{dir: ".", path: "golang.org/x/sync/errgroup"}, "root module requires nothing"},
		{imports{dir: "store/memstore", test: true, path: "github.com/google/go-cmp/cmp"}, "root module requires nothing"},
		{imports{dir: "store/sqlitestore", foreign: true, path: "modernc.org/sqlite"}, ""},
		{imports{dir: "store/storetest", path: "testing"}, "does not import testing"},
		{imports{dir: "cmd/tenure", foreign: true, path: "testing/fstest"}, "does not import testing"},
		{imports{dir: "store/storetest", test: true, path: "testing"}, ""},
		{imports{dir: "test/chaos", foreign: true, path: "testing"}, ""},
		{imports{dir: "internal/protocol", path: "sync/atomic"}, "sans I/O"},
		{imports{dir: "internal/protocol", path: rootPath}, "sans I/O"},
		{imports{dir: "internal/protocol", path: rootPath + "/store/memstore"}, "sans I/O"},
		{imports{dir: "internal/protocol", path: "time"}, ""},
		{imports{dir: "internal/protocol", test: true, path: "math/rand/v2"}, ""},
		{imports{dir: "internal/protocol", test: true, path: rootPath + "/store/memstore"}, ""},
		{imports{dir: "store", path: rootPath}, "stands on nothing"},
		{imports{dir: "store/internal/beat", path: rootPath + "/store/memstore"}, "knows no driver"},
		{imports{dir: "store/sqlitestore", foreign: true, path: rootPath}, "drivers import store only"},
		{imports{dir: "store/sqlitestore", foreign: true, test: true, path: rootPath}, ""},
		{imports{dir: "store/sqlitestore", foreign: true, test: true, path: rootPath + "/store/etcdstore"}, "drivers import store only"},
		{imports{dir: "store/sqlitestore", foreign: true, path: rootPath + "/store/etcdstore"}, "drivers import store only"},
		{imports{dir: "store/sqlitestore", foreign: true, path: rootPath + "/internal/requirestore"}, "only tests"},
		{imports{dir: "store/sqlitestore", foreign: true, test: true, path: rootPath + "/internal/requirestore"}, ""},
		{imports{dir: "store/etcdstore", foreign: true, path: rootPath + "/internal/etcdtest"}, "only tests"},
		{imports{dir: "store/etcdstore", foreign: true, test: true, path: rootPath + "/internal/etcdtest"}, ""},
		{imports{dir: "store/sqlitestore/internal/x", foreign: true, path: rootPath + "/store/sqlitestore"}, ""},
		{imports{dir: ".", path: rootPath + "/store/memstore"}, "tenure -> store"},
		{imports{dir: ".", path: rootPath + "/cluster"}, "tenure -> store"},
		{imports{dir: ".", test: true, path: rootPath + "/store/memstore"}, ""},
		{imports{dir: ".", path: rootPath + "/internal/protocol"}, ""},
		{imports{dir: "cluster", path: rootPath}, ""},
		{imports{dir: "cluster", path: rootPath + "/cmd/tenure"}, "nothing imports cmd/"},
		{imports{dir: "cmd/tenure", foreign: true, path: rootPath + "/test/chaos"}, "nothing imports test/"},
		{imports{dir: "cluster", test: true, path: rootPath + "/test"}, "nothing imports test/"},
		{imports{dir: "cluster", test: true, path: rootPath + "/examples/scheduler"}, "nothing imports examples/"},
		{imports{dir: "examples/scheduler", foreign: true, path: rootPath + "/internal/inbox"}, "examples are copied"},
		{imports{dir: "examples/scheduler", foreign: true, test: true, path: rootPath + "/internal/etcdtest"}, "examples are copied"},
		{imports{dir: "examples/scheduler", foreign: true, path: rootPath + "/store/etcdstore"}, ""},
		{imports{dir: "examples/raftkv", foreign: true, path: rootPath + "/raftlead"}, ""},
		{imports{dir: "examples/raftkv", foreign: true, test: true, path: rootPath + "/examples/scheduler"}, "nothing imports examples/"},
		{imports{dir: "promtrace", foreign: true, path: "github.com/prometheus/client_golang/prometheus"}, ""},
		{imports{dir: "promtrace", foreign: true, path: rootPath}, ""},
		{imports{dir: "promtrace", foreign: true, path: rootPath + "/store"}, ""},
		{imports{dir: "promtrace", foreign: true, path: rootPath + "/store/etcdstore"}, "promtrace -> tenure"},
		{imports{dir: "store/etcdstore", foreign: true, path: rootPath + "/promtrace"}, "drivers import store only"},
		{imports{dir: "cmd/tenure", foreign: true, path: rootPath + "/promtrace"}, ""},
		{imports{dir: "cmd/tenure", foreign: true, path: rootPath + "/store/sqlitestore"}, ""},
		{imports{dir: "cmd/tenure", foreign: true, path: rootPath + "/cmd/tenure/internal/guard"}, ""},
	} {
		if got := c.refusal(); (got == "") != (c.why == "") || !strings.Contains(got, c.why) {
			t.Errorf("%+v: got %q, want %q", c.imports, got, c.why)
		}
	}
}

func TestRootModuleRequiresNothing(t *testing.T) {
	for word := range words(t, "go.mod") {
		switch word {
		case "require", "replace", "tool":
			t.Errorf("go.mod has %q: whoever imports the root module must get nothing else", word)
		}
	}
}

// "go test work" leaves a module out, without a word, that is not in go.work.
// Modules below tools build programs of others, and have no tests; in go.work
// they would choose the versions of what the other modules require. The benchmark
// has no tests either, and would make "go test work" build all of its peers. Those
// of test/interop run by "make interop": they compile a good part of Kubernetes.
func TestEveryModuleIsInTheWorkspace(t *testing.T) {
	modules, _ := repository(t)
	used := words(t, "go.work")
	for _, m := range modules {
		if m != "." && !under(m, "tools") && m != "test/bench" && m != "test/interop" && !used["./"+m] {
			t.Errorf("module %s is not in go.work, so its tests do not run", m)
		}
	}
}

// repository returns the directories of all modules and all Go files.
func repository(t *testing.T) (modules, files []string) {
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (name == "testdata" || name == "bin" || strings.ContainsAny(name[:1], "._")):
			return fs.SkipDir
		case name == "go.mod":
			modules = append(modules, path.Dir(file))
		case strings.HasSuffix(name, ".go"):
			files = append(files, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return modules, files
}

// moduleOf returns the innermost module that holds the directory.
func moduleOf(modules []string, dir string) string {
	for ; dir != "."; dir = path.Dir(dir) {
		if slices.Contains(modules, dir) {
			return dir
		}
	}
	return "."
}

// words returns the words of a go.mod or go.work file, without its comments.
func words(t *testing.T, file string) map[string]bool {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		code, _, _ := strings.Cut(line, "//")
		for w := range strings.FieldsSeq(code) {
			found[w] = true
		}
	}
	return found
}
