package interop

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// The root package's tests hold the page to lists of names; here the names are
// those of the packages themselves.
func TestPageHasEveryNameOfThesePackages(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		head  string   // of the tables' first column
		pkg   string   // import path
		files []string // nil: all
	}{
		{"leaderelection", "k8s.io/client-go/tools/leaderelection", nil},
		{"resourcelock", "k8s.io/client-go/tools/leaderelection/resourcelock", nil},
		{"consul/api", "github.com/hashicorp/consul/api", []string{"lock.go", "semaphore.go", "session.go"}},
	} {
		t.Run(c.head, func(t *testing.T) {
			t.Parallel()
			rows, names := rowsOf(string(page), c.head), namesOf(t, c.pkg, c.files)
			for _, name := range slices.Sorted(maps.Keys(names)) {
				if !rows[name] {
					t.Errorf("no row of a table for %s", name)
				}
			}
			for _, name := range slices.Sorted(maps.Keys(rows)) {
				if _, ok := names[name]; !ok {
					t.Errorf("%s has no %s", c.pkg, name)
				}
			}
		})
	}
}

// Of controller-runtime the page has what is about elections.
func TestPageHasEveryOptionAboutElections(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(string(page), "controller-runtime")
	options := reflect.TypeFor[manager.Options]()
	for field := range options.Fields() {
		name := field.Name
		about := strings.HasPrefix(name, "Leader") || slices.Contains([]string{"LeaseDuration", "RenewDeadline", "RetryPeriod"}, name)
		if about && !rows["Options."+name] {
			t.Errorf("no row of a table for Options.%s", name)
		}
	}
	for row := range rows {
		at := strings.LastIndex(row, ".")
		of, name, found := row[:at], row[at+1:], false
		switch of {
		case "Options":
			_, found = options.FieldByName(name)
		case "controller.Options":
			_, found = reflect.TypeFor[controller.Options]().FieldByName(name)
		case "Manager":
			_, found = reflect.TypeFor[manager.Manager]().MethodByName(name)
		case "LeaderElectionRunnable":
			_, found = reflect.TypeFor[manager.LeaderElectionRunnable]().MethodByName(name)
		}
		if !found {
			t.Errorf("controller-runtime has no %s", row)
		}
	}
}

func TestPageHasTheVersions(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	out := list(t, "-m", "-f", "{{.Path}} {{.Version}}", "all")
	for _, module := range []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "github.com/hashicorp/consul/api"} {
		version := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(module) + ` (.+)$`).FindStringSubmatch(out)
		if version == nil || !strings.Contains(string(page), version[1]) {
			t.Errorf("the page does not name the version of %s: %q", module, version)
		}
	}
}

// list is "go list" in this module, whatever the workspace is.
func list(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// rowsOf returns the names in the first column of the tables so headed.
func rowsOf(page, head string) map[string]bool {
	rows := map[string]bool{}
	within := false
	for line := range strings.Lines(page) {
		switch {
		case strings.HasPrefix(line, "| "+head+" |"):
			within = true
		case !strings.HasPrefix(line, "|"):
			within = false
		case within:
			first, _, _ := strings.Cut(line[1:], "|")
			for _, m := range codeSpan.FindAllStringSubmatch(first, -1) {
				rows[m[1]] = true
			}
		}
	}
	return rows
}

// namesOf returns what a package exports: X of functions, types, constants and
// variables, T.X of fields and methods. A method that fulfils an interface of the
// same package is named there.
func namesOf(t *testing.T, pkg string, only []string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(list(t, "-f", "{{.Dir}}", pkg), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{} // true: a method
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || only != nil && !slices.Contains(only, filepath.Base(path)) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			addDecl(names, d)
		}
	}
	for name, method := range names {
		_, of, _ := strings.Cut(name, ".")
		if _, declared := names["Interface."+of]; method && declared {
			delete(names, name)
		}
	}
	return names
}

func addDecl(names map[string]bool, d ast.Decl) {
	add := func(of string, name *ast.Ident) {
		if name.IsExported() && (of == "" || ast.IsExported(of)) {
			_, function := d.(*ast.FuncDecl)
			names[strings.TrimPrefix(of+"."+name.Name, ".")] = function && of != ""
		}
	}
	fields := func(of string, list *ast.FieldList) {
		for _, field := range list.List {
			for _, name := range field.Names {
				add(of, name)
			}
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		of := ""
		if d.Recv != nil {
			receiver := d.Recv.List[0].Type
			if star, ok := receiver.(*ast.StarExpr); ok {
				receiver = star.X
			}
			of = receiver.(*ast.Ident).Name
		}
		add(of, d.Name)
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.ValueSpec:
				for _, name := range s.Names {
					add("", name)
				}
			case *ast.TypeSpec:
				add("", s.Name)
				switch u := s.Type.(type) {
				case *ast.StructType:
					fields(s.Name.Name, u.Fields)
				case *ast.InterfaceType:
					fields(s.Name.Name, u.Methods)
				}
			}
		}
	}
}
