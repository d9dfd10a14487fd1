package tenure_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// taught is how many lines the lists of docs/testing.md have, of what HoraeMeta's, PD's,
// raft-test's, gigo-lib's and Doozer's packages taught.
var taught = map[int]int{0: 12, 1: 22, 2: 6, 3: 13, 4: 9}

func TestEachLineOfWhatThePredecessorsTaughtNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range wrongInTaught(string(page), tried(t)) {
		t.Error(wrong)
	}
}

// Without this the lists could be wrong by a slip in wrongInTaught, unseen.
func TestThePageOfTestsIsRefusedWhereItIsWrong(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := tried(t)
	for what, c := range map[string]struct{ old, to, says string }{
		"a Test that does not exist": {"`TestStepDownOrder`", "`TestStepDownOrders`", "1.16: there is no TestStepDownOrders"},
		"a case that does not exist": {"`many/duplicate`", "`many/duplicates`", "3.4: there is no many/duplicates"},
		"a line without a Test":      {"`TestAnotherTTLCountsFromTheNextTerm`", "", "1.18: no Test"},
		"a line that is missing":     {"| 0.7 |", "| |", "no line 0.7"},
		"a line that is there twice": {"| 0.7 |", "| 0.8 |", "0.8 is there twice"},
		"a line too many":            {"| 1.22 |", "| 1.23 |", "no line is 1.23"},
		"a line of no list":          {"| 3.13 |", "| 5.1 |", "no line is 5.1"},
		"a line without a behaviour": {"| 0.10 | A leader watches its own key. |", "| 0.10 | |", "0.10: no behaviour"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			broken := strings.ReplaceAll(string(page), c.old, c.to)
			if broken == string(page) {
				t.Fatalf("the page has no %q", c.old)
			}
			if found := wrongInTaught(broken, tests); !slices.Contains(found, c.says) {
				t.Errorf("found %q, want %q", found, c.says)
			}
		})
	}
}

// tried returns the names of all Tests of the repository, and of the cases of
// internal/clustertest.
func tried(t *testing.T) map[string]bool {
	t.Helper()
	found := testsWritten(t)
	maps.Copy(found, casesWritten(t))
	return found
}

// caseName is that of a case of internal/clustertest.
var caseName = regexp.MustCompile(`\b(one|many)/[\w-]+`)

func casesWritten(t *testing.T) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob("internal/clustertest/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if name := strings.Trim(lit.Value, `"`); caseName.FindString(name) == name {
					found[name] = true
				}
			}
			return true
		})
	}
	return found
}

var taughtLine = regexp.MustCompile(`^\| (\d+\.\d+) \| (.*) ?\| (.*) ?\|$`)

// wrongInTaught says what is wrong with the lists.
func wrongInTaught(page string, tests map[string]bool) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	lines := map[string]bool{}
	for of, n := range taught {
		for i := range n {
			lines[fmt.Sprintf("%d.%d", of, i+1)] = true
		}
	}
	for line := range strings.Lines(page) {
		m := taughtLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		switch missing, known := lines[m[1]]; {
		case !known:
			complain("no line is %s", m[1])
		case !missing:
			complain("%s is there twice", m[1])
		default:
			lines[m[1]] = false
		}
		if strings.TrimSpace(m[2]) == "" {
			complain("%s: no behaviour", m[1])
		}
		named := slices.Concat(exampleName.FindAllString(m[3], -1), caseName.FindAllString(m[3], -1))
		if len(named) == 0 {
			complain("%s: no Test", m[1])
		}
		for _, name := range named {
			if !tests[name] {
				complain("%s: there is no %s", m[1], name)
			}
		}
	}
	for line, missing := range lines {
		if missing {
			complain("no line %s", line)
		}
	}
	return wrong
}
