package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"log"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// The Examples of docs/coming-from.md for those who come from etcd, where they are
// not in example_test.go, and what holds that page to all of them.

// revokeSession ends a member's session, as "etcdctl lease revoke" would.
func revokeSession(ctx context.Context, st store.Store, member string) {
	l, err := st.List(ctx, store.Keys("members/"+member))
	if err != nil {
		log.Fatal(err)
	}
	if err := st.Revoke(ctx, l.Entries[0].Lease); err != nil {
		log.Fatal(err)
	}
}

// The TTL is a duration. The context given to Join bounds the call, and nothing
// after it.
func Example_sessionOptions() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	sessions := make(chan tenure.SessionInfo, 1)
	m, err := tenure.Join(ctx, st, tenure.Options{
		ID:    "a",
		TTL:   15 * time.Second,
		Trace: &tenure.Trace{SessionStarted: func(s tenure.SessionInfo) { sessions <- s }},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	session := <-sessions
	fmt.Println("a lease of", session.TTL)

	if _, err := m.Campaign(ctx, "jobs", tenure.CampaignOptions{}); err != nil {
		log.Fatal(err)
	}
	leader, _, err := tenure.NewView(st, "jobs").Read(ctx)
	fmt.Println("the leader's:", leader.Session == session.ID, err)

	over, cancel := context.WithCancel(ctx)
	cancel()
	_, err = tenure.Join(over, st, tenure.Options{ID: "b"})
	fmt.Println(err)
	// Output:
	// a lease of 15s
	// the leader's: true <nil>
	// join: context canceled
}

// The end of a session ends its terms, each with a cause. The member makes a new
// session by itself, and Lead waits to be elected again.
func Example_sessionLost() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	terms := 0
	err = m.Lead(ctx, "jobs", func(ctx context.Context, t tenure.Term) error {
		if terms++; terms == 2 {
			fmt.Println("leading again:", t.Held(), m.Healthy())
			return nil
		}
		revokeSession(ctx, st, "a")
		<-ctx.Done()
		fmt.Println("held:", t.Held(), "lost:", errors.Is(context.Cause(ctx), tenure.ErrLost))
		return ctx.Err()
	}, tenure.LeadOptions{})
	fmt.Println(err)
	// Output:
	// held: false lost: true
	// leading again: true <nil>
	// <nil>
}

// Close lets the function return first, and then passes the seat on.
func Example_closeDrains() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	a, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	b, err := tenure.Join(ctx, st, tenure.Options{ID: "b"})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	var leads sync.WaitGroup
	begun := make(chan struct{})
	leads.Go(func() {
		_ = a.Lead(ctx, "jobs", func(ctx context.Context, _ tenure.Term) error {
			close(begun)
			<-ctx.Done()
			fmt.Println("a stops:", context.Cause(ctx))
			return nil
		}, tenure.LeadOptions{})
	})
	<-begun
	leads.Go(func() {
		_ = b.Lead(ctx, "jobs", func(context.Context, tenure.Term) error {
			fmt.Println("b leads")
			return nil
		}, tenure.LeadOptions{})
	})
	if err := a.Close(); err != nil {
		log.Fatal(err)
	}
	leads.Wait()
	// Output:
	// a stops: tenure: member closed
	// b leads
}

// No election lies under another, whatever their names.
func Example_electionNames() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	for _, name := range []string{"shards", "shards/7", "shards/"} {
		term, err := m.Campaign(ctx, name, tenure.CampaignOptions{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(term.Election(), term.Held())
	}
	// Output:
	// shards true
	// shards/7 true
	// shards/ true
}

// A campaign whose context has ended leaves nothing in line.
func Example_campaignGivenUp() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	a, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	b, err := tenure.Join(ctx, st, tenure.Options{ID: "b"})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	if _, err := a.Campaign(ctx, "jobs", tenure.CampaignOptions{}); err != nil {
		log.Fatal(err)
	}

	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = b.Campaign(short, "jobs", tenure.CampaignOptions{})
	fmt.Println(err)
	candidates, err := tenure.NewView(st, "jobs").Candidates(ctx)
	for _, c := range candidates {
		fmt.Println(c.Member, c.State)
	}
	fmt.Println(err)
	// Output:
	// campaign "jobs": context deadline exceeded
	// a leading
	// <nil>
}

// One member cannot lead one election twice.
func Example_campaignTwice() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	for range 2 {
		_, err = m.Campaign(ctx, "jobs", tenure.CampaignOptions{})
		fmt.Println(err, errors.Is(err, tenure.ErrAlreadyCandidate))
	}
	// Output:
	// <nil> false
	// campaign "jobs": tenure: already a candidate true
}

// A member whose session ends while it waits makes a new one and goes on
// waiting. What Campaign returns is held.
func Example_sessionLostWhileWaiting() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	a, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	b, err := tenure.Join(ctx, st, tenure.Options{ID: "b"})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	first, err := a.Campaign(ctx, "jobs", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}

	done := make(chan struct{})
	go func() {
		defer close(done)
		term, err := b.Campaign(ctx, "jobs", tenure.CampaignOptions{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("b leads:", term.Held(), term.Verify(ctx))
	}()
	bothInLine(ctx, tenure.NewView(st, "jobs"))
	revokeSession(ctx, st, "b")
	_ = first.Resign(ctx)
	<-done
	// Output: b leads: true <nil>
}

// bothInLine waits until an election has a leader and one who waits.
func bothInLine(ctx context.Context, view *tenure.View) {
	for {
		candidates, err := view.Candidates(ctx)
		if err != nil {
			log.Fatal(err)
		}
		if len(candidates) == 2 {
			return
		}
		time.Sleep(time.Millisecond) // polls: a view does not tell of candidates
	}
}

// A Resign that the store does not answer ends the term all the same. The member
// goes on with the hand-over; there is nothing to repeat.
func Example_resignUnanswered() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	cut := faultstore.New(st.Open())
	defer cut.Close()
	a, err := tenure.Join(ctx, cut, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	b, err := tenure.Join(ctx, st, tenure.Options{ID: "b"})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	term, err := a.Campaign(ctx, "jobs", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}

	heal := cut.Inject(faultstore.Fault{Kind: faultstore.Partition})
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	fmt.Println(term.Resign(short))
	fmt.Println("held:", term.Held())
	heal()

	next, err := b.Campaign(ctx, "jobs", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(next.Member(), "leads")
	// Output:
	// resign "jobs": context deadline exceeded
	// held: false
	// b leads
}

// That nobody leads is not an error.
func ExampleView_Read() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a", Endpoint: "10.0.0.1:80"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	view := tenure.NewView(st, "jobs")
	for range 2 {
		leader, ok, err := view.Read(ctx)
		fmt.Printf("%v %v %q %q\n", ok, err, leader.Member, leader.Endpoint)
		if ok {
			return
		}
		if _, err := m.Campaign(ctx, "jobs", tenure.CampaignOptions{}); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// false <nil> "" ""
	// true <nil> "a" "10.0.0.1:80"
}

// Where the store has forgotten what happened, Observe says so, and goes on from
// the present state.
func Example_observeGap() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	for ev, err := range tenure.NewView(st, "jobs").Observe(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ev.Kind)
		switch ev.Kind {
		case tenure.Vacant: // three terms, of which this loop hears nothing
			for i := range 3 {
				term, err := m.Campaign(ctx, "jobs", tenure.CampaignOptions{})
				if err != nil {
					log.Fatal(err)
				}
				if i < 2 {
					_ = term.Resign(ctx)
				}
				st.Compact(term.Token())
			}
		case tenure.Elected:
			return
		}
	}
	// Output:
	// vacant
	// gap
	// elected
}

// A token is above those of all earlier terms, whoever held them.
func Example_tokensRise() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()

	var last tenure.Token
	for _, id := range []string{"a", "b", "a"} {
		err := leadOnce(ctx, st, id, func(t tenure.Term) {
			fmt.Println(id, t.Token() > last)
			last = t.Token()
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// a true
	// b true
	// a true
}

func leadOnce(ctx context.Context, st store.Store, id string, f func(tenure.Term)) error {
	m, err := tenure.Join(ctx, st, tenure.Options{ID: id})
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Lead(ctx, "jobs", func(_ context.Context, t tenure.Term) error {
		f(t)
		return nil
	}, tenure.LeadOptions{})
}

// A leader whose seat is gone cannot write, whether it has heard of its loss or
// not.
func Example_commitAfterLoss() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	term, err := m.Campaign(ctx, "jobs", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}

	revokeSession(ctx, st, "a")
	_, err = term.Commit(ctx, store.Tx{Then: []store.Op{store.Put("position", []byte("43"), store.NoLease)}})
	fmt.Println("lost:", errors.Is(err, tenure.ErrLost), "held:", term.Held())
	// Output: lost: true held: false
}

// An election is a lock: Campaign locks it, Resign unlocks it.
func Example_lock() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	lock, err := m.Campaign(ctx, "locks/report", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("locked:", lock.Held())
	fmt.Println("unlock:", lock.Resign(ctx))
	fmt.Println("again:", lock.Resign(ctx))
	// Output:
	// locked: true
	// unlock: <nil>
	// again: <nil>
}

// A try is a campaign that does not wait for long. It needs time for a few
// requests, also when nobody holds the lock.
func Example_tryLock() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	a, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	b, err := tenure.Join(ctx, st, tenure.Options{ID: "b"})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	lock, err := a.Campaign(ctx, "locks/report", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}

	try := func(patience time.Duration) {
		short, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err := b.Campaign(short, "locks/report", tenure.CampaignOptions{})
		switch {
		case err == nil:
			fmt.Println("locked")
		case errors.Is(err, context.DeadlineExceeded):
			fmt.Println("somebody else has it")
		default:
			log.Fatal(err)
		}
	}
	try(50 * time.Millisecond)
	_ = lock.Resign(ctx)
	try(5 * time.Second)
	// Output:
	// somebody else has it
	// locked
}

// What is read, changed and written back is written only if nobody has changed
// it since, and only while the term is current.
func Example_readModifyWrite() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	data := tenure.Data(st)

	add := func(ctx context.Context, term *tenure.Leadership) error {
		for {
			l, err := data.List(ctx, store.Keys("log"))
			if err != nil {
				return err
			}
			unchanged, value := store.Absent("log"), ""
			if e := l.Entry("log"); e != nil {
				unchanged, value = store.ModifiedAt("log", e.Modified), string(e.Value)
			}
			res, err := term.Commit(ctx, store.Tx{
				If:   []store.Cond{unchanged},
				Then: []store.Op{store.Put("log", []byte(value+"x"), store.NoLease)},
			})
			if err != nil || res.Committed {
				return err
			}
		}
	}
	err := tenure.Lead(ctx, st, "jobs", func(ctx context.Context, t tenure.Term) error {
		term := t.(*tenure.Leadership) // a Term over a store is one
		errs := make(chan error)
		for range 3 {
			go func() { errs <- add(ctx, term) }()
		}
		return errors.Join(<-errs, <-errs, <-errs)
	})
	if err != nil {
		log.Fatal(err)
	}

	l, err := data.List(ctx, store.Keys("log"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", l.Entries[0].Value)
	// Output: xxx
}

// origin is a package that the page has tables of: of these names, as of this
// version. The root module requires nothing, so no compiler can compare the two;
// test/interop does for those of Kubernetes and Consul, and raftlead for raft's.
type origin struct {
	head    string // of the first column
	version string
	names   []string
}

var origins = []origin{
	{"concurrency", concurrencyVersion, concurrencyNames},
	{"leaderelection", clientGoVersion, leaderElectionNames},
	{"resourcelock", clientGoVersion, resourceLockNames},
	{"controller-runtime", controllerRuntimeVersion, controllerRuntimeNames},
	{"consul lock", consulVersion, consulLockNames},
	{"consul/api", consulAPIVersion, consulAPINames},
	{"server/member", horaeMetaVersion, horaeMetaNames},
	{"pkg/election", pdVersion, pdNames},
	{"gigo-lib cluster", gigoVersion, gigoNames},
	{"Doozer masterelection", doozerVersion, doozerNames},
	{"elect-run-command", doozerVersion, electRunNames},
	{"flock", flockVersion, flockNames},
	{"etcdctl", concurrencyVersion, etcdctlNames},
	{"hashicorp/raft", raftVersion, raftNames},
	{"raft-test election", raftTestVersion, raftTestNames},
}

// concurrencyVersion is that of go.etcd.io/etcd/client/v3.
const concurrencyVersion = "v3.7.3"

var concurrencyNames = []string{
	"Session", "NewSession", "Session.Client", "Session.Lease", "Session.Ctx", "Session.Done", "Session.Orphan",
	"Session.Close", "SessionOption", "WithTTL", "WithLease", "WithContext",

	"Election", "NewElection", "ResumeElection", "Election.Campaign", "Election.Proclaim", "Election.Resign",
	"Election.Leader", "Election.Observe", "Election.Key", "Election.Rev", "Election.Header",
	"ErrElectionNotLeader", "ErrElectionNoLeader",

	"Mutex", "NewMutex", "Mutex.Lock", "Mutex.TryLock", "Mutex.Unlock", "Mutex.IsOwner", "Mutex.Key", "Mutex.Header",
	"NewLocker", "ErrLocked", "ErrSessionExpired", "ErrLockReleased",

	"STM", "STM.Get", "STM.Put", "STM.Rev", "STM.Del", "NewSTM", "NewSTMRepeatable", "NewSTMSerializable",
	"NewSTMReadCommitted", "STMOption", "WithIsolation", "WithAbortContext", "WithPrefetch", "Isolation",
	"SerializableSnapshot", "Serializable", "RepeatableReads", "ReadCommitted",
}

func TestComingFromTablesNameExamplesThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range wrongInComingFrom(string(page), shown(t)) {
		t.Error(wrong)
	}
}

// Without this the page could be wrong by a slip in wrongInComingFrom, unseen.
func TestComingFromRefusesAPageThatIsWrong(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := shown(t)
	for what, c := range map[string]struct{ old, to, says string }{
		"an Example that does not exist": {"`Example_tryLock`", "`Example_tryLocks`", "no Example_tryLocks"},
		"an Example in the prose":        {"\n## ", "\nSee `Example_nothing`.\n\n## ", "no Example_nothing"},
		"an Example of another package":  {"`cluster.ExampleNode_stop`", "`ExampleNode_stop`", "no ExampleNode_stop"},
		"an Example of no package":       {"`Example_tryLock`", "`cluster.Example_tryLock`", "no cluster.Example_tryLock"},
		"an Example of raftlead":         {"`raftlead.ExampleWatch`", "`cluster.ExampleWatch`", "no cluster.ExampleWatch"},
		"a Test that does not exist":     {"`TestManagerStartsOnce`", "`TestManagerStartsTwice`", "no TestManagerStartsTwice"},
		"a name that is missing":         {"| `Session.Orphan` |", "| `Session` |", "no row of a table for Session.Orphan"},
		"a name that is not exported":    {"| `Session.Orphan` |", "| `Session.Orphans` |", "does not export Session.Orphans"},
		"a name of another package":      {"| `LeaderElector` |", "| `Session` |", "leaderelection v0.37.2 does not export Session"},
		"a row without an Example":       {"| `Example_campaignTwice` |", "| |", "neither an Example nor"},
		"a row with a cell too many":     {"| `Example_campaignTwice` |", "| | `Example_campaignTwice` |", "cells"},
		"an option that is missing":      {"`--conflict-exit-code`", "`-E`", "no row of a table for --conflict-exit-code of flock"},
		"an option that there is not":    {"`-master-cmd`", "`-masters-cmd`", "02eb2cf does not export -masters-cmd"},
		"another version":                {concurrencyVersion, "v3.6.0", "version"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			broken := strings.ReplaceAll(string(page), c.old, c.to)
			if broken == string(page) {
				t.Fatalf("the page has no %q", c.old)
			}
			found := wrongInComingFrom(broken, examples)
			if !slices.ContainsFunc(found, func(w string) bool { return strings.Contains(w, c.says) }) {
				t.Errorf("found %q, want %q", found, c.says)
			}
		})
	}
}

var (
	codeSpan    = regexp.MustCompile("`([^`]+)`")
	exampleName = regexp.MustCompile(`\b(\w+\.)?(Example|Test)[A-Z_]\w+`)
)

// wrongInComingFrom says what is wrong with the page. Each row of a table headed
// by an origin has four cells: names, what does it in Tenure, the difference, and
// an Example or a Test. The second begins with "none" where nothing does it; only
// then, and where module embedded does, may there be no Example.
func wrongInComingFrom(page string, examples map[string]bool) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	rows := map[string]map[string]bool{} // by origin
	for _, o := range origins {
		if !strings.Contains(page, o.version) {
			complain("the page does not name the version %s of %s", o.version, o.head)
		}
		rows[o.head] = map[string]bool{}
	}
	var within map[string]bool // the rows of this table; nil: of none
	for line := range strings.Lines(page) {
		for _, name := range exampleName.FindAllString(line, -1) {
			if !examples[name] {
				complain("there is no %s: no Example with an output in its package, no Test anywhere", name)
			}
		}
		row := strings.TrimSpace(line)
		if !strings.HasPrefix(row, "|") {
			within = nil
			continue
		}
		cells := strings.Split(strings.Trim(row, "|"), "|")
		if names, begins := rows[strings.TrimSpace(cells[0])]; begins {
			within = names
			continue
		}
		if within == nil || strings.HasPrefix(row, "|---") {
			continue
		}
		if len(cells) != 4 {
			complain("%d cells, want 4: %s", len(cells), row)
			continue
		}
		for _, m := range codeSpan.FindAllStringSubmatch(cells[0], -1) {
			within[m[1]] = true
		}
		if !strings.HasPrefix(strings.TrimSpace(cells[1]), "none") && !exampleName.MatchString(cells[3]) && !strings.Contains(row, embedded) {
			complain("neither an Example nor \"none\": %s", row)
		}
	}
	for _, o := range origins {
		names := rows[o.head]
		for _, name := range o.names {
			if !names[name] {
				complain("there is no row of a table for %s of %s", name, o.head)
			}
			delete(names, name)
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			complain("%s %s does not export %s", o.head, o.version, name)
		}
	}
	return wrong
}

// embedded marks what module embedded is to show.
const embedded = "<!-- embedded -->"

// shown returns the names by which the page can show something: of Examples of the
// root package, of those of other packages, which have the package's name in front, and of
// Tests of all modules.
func shown(t *testing.T) map[string]bool {
	t.Helper()
	found := testsWritten(t)
	maps.Copy(found, examplesThatRun(t, ".", ""))
	for _, dir := range []string{"cluster", "raftlead", "raftlead/raftleadtest"} {
		maps.Copy(found, examplesThatRun(t, dir, path.Base(dir)+"."))
	}
	return found
}

// testsWritten returns the names of all Tests of the repository.
func testsWritten(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	_, files := repository(t)
	for _, f := range parsed(t, files) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				found[fn.Name.Name] = true
			}
		}
	}
	return found
}

// parsed returns those of the files that are tests.
func parsed(t *testing.T, paths []string) []*ast.File {
	t.Helper()
	var files []*ast.File
	fset := token.NewFileSet()
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// examplesThatRun returns the Examples of a package that have an output to be
// compared: those without one are compiled only.
func examplesThatRun(t *testing.T, dir, qualifier string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, e := range doc.Examples(parsed(t, paths)...) {
		if e.Output != "" || e.EmptyOutput {
			found[qualifier+"Example"+e.Name] = true
		}
	}
	return found
}
