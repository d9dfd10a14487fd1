package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// sources are the files of the command, without those of tests.
func sources(t *testing.T) []*ast.File {
	t.Helper()
	var files []*ast.File
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if d.IsDir() && d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var (
	exitName     = regexp.MustCompile(`^(exit|Code)[A-Z]\w*$`)
	variableName = regexp.MustCompile(`^"((?:TENURE|XDG)_[A-Z_]+)=?"$`)
)

func TestEveryExitCodeIsInTheTable(t *testing.T) {
	t.Parallel()
	defined, listed := map[string]bool{}, map[string]bool{}
	for _, f := range sources(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name := spec.Names[0].Name; name == "exitCodes" {
				ast.Inspect(spec, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						listed[id.Name] = true
					}
					return true
				})
			}
			return true
		})
		ast.Inspect(f, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				return true
			}
			for _, spec := range decl.Specs {
				for _, id := range spec.(*ast.ValueSpec).Names {
					if exitName.MatchString(id.Name) {
						defined[id.Name] = true
					}
				}
			}
			return true
		})
	}
	delete(defined, "CodeNotStarted") // exitRunFailed, as the command calls it
	if len(defined) < 8 {
		t.Fatalf("found the constants %v only", defined)
	}
	for name := range defined {
		if !listed[name] {
			t.Errorf("exitCodes has no row of %s", name)
		}
	}
}

func TestTheTableOfExitCodesNamesCommandsThatExist(t *testing.T) {
	t.Parallel()
	root := newRoot()
	for _, row := range exitCodes {
		if row.commands == "" || row.commands == allButRun {
			continue
		}
		for name := range strings.SplitSeq(row.commands, ", ") {
			if cmd, rest, err := root.Find(strings.Fields(name)); err != nil || len(rest) > 0 || cmd == root {
				t.Errorf("%v: there is no command %q", row.code, name)
			}
		}
	}
}

func TestEveryEnvironmentVariableIsInTheTable(t *testing.T) {
	t.Parallel()
	listed, used := map[string]bool{}, map[string]bool{}
	for _, v := range environment {
		listed[v.name] = true
	}
	for _, f := range sources(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if m := variableName.FindStringSubmatch(n.Value); m != nil {
					used[m[1]] = true
				}
			case *ast.CallExpr:
				if name, ok := readVariable(n); ok {
					used[name] = true
				}
			}
			return true
		})
	}
	if len(used) < 6 {
		t.Fatalf("found %v only", used)
	}
	for name := range used {
		if !listed[name] {
			t.Errorf("environment has no row of %s", name)
		}
	}
}

// readVariable is the variable that a call reads by its name.
func readVariable(call *ast.CallExpr) (string, bool) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) != 1 || sel.Sel.Name != "Getenv" && sel.Sel.Name != "LookupEnv" {
		return "", false
	}
	lit, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return "", false
	}
	name, err := strconv.Unquote(lit.Value)
	return name, err == nil
}
