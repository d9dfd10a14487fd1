package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// The Examples of docs/coming-from.md for those who come from Doozer's master election
// client.

func joined(st store.Store, id string) *tenure.Member {
	m, err := tenure.Join(context.Background(), st, tenure.Options{ID: id})
	if err != nil {
		log.Fatal(err)
	}
	return m
}

// A participating client. It is told of each master, becomes one, which may fail, and is
// told when it is one no longer.
func Example_participatingClient() {
	ctx, stop := context.WithCancel(context.Background())
	st := memstore.New()
	defer st.Close()
	m, other := joined(st, "a"), joined(st, "b")
	defer other.Close()
	term, err := other.Campaign(ctx, "service", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}

	errs := make(chan error, 10)
	tries := 0
	err = tenure.Callbacks{
		LeaderChanged: func(ev tenure.Event) { // BecomeSlave
			if ev.Leader.Member == "b" {
				fmt.Println("a slave of", ev.Leader.Member)
				go func() { _ = term.Resign(ctx) }()
			}
		},
		Elected: func(context.Context, tenure.Term) error { // BecomeMaster
			if tries++; tries == 1 {
				return errors.New("the disk cannot be mounted")
			}
			fmt.Println("master, at the second try")
			stop()
			return nil
		},
		Lost:  func(tenure.Term, error) { fmt.Println("no longer master") },
		Error: func(err error) { errs <- err }, // ElectionError
	}.Run(ctx, m, "service", tenure.LeadOptions{}) // SyncWait: it returns at the end
	fmt.Println(err, m.Close())
	fmt.Println("told of:", <-errs)
	// Output:
	// a slave of b
	// master, at the second try
	// no longer master
	// <nil> <nil>
	// told of: the disk cannot be mounted
}

// A passive client has no member. It sees each master, from memory or from the store, and
// may force an election, of the master that it has seen and of no other.
func Example_passiveClient() {
	ctx, stop := context.WithCancel(context.Background())
	st := memstore.New()
	defer st.Close()
	a, b := joined(st, "a"), joined(st, "b")
	defer a.Close()
	defer b.Close()
	term, err := a.Campaign(ctx, "service", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}

	view := tenure.NewView(st, "service")
	force := func(master tenure.Token) error { // ForceMasterElection
		return view.Depose(ctx, master, tenure.Reason{By: "eve", Why: "a new disk"})
	}
	err = tenure.Callbacks{
		LeaderChanged: func(ev tenure.Event) {
			local, _ := view.Leader()        // GetCurrentMaster
			stored, _, err := view.Read(ctx) // ReadCurrentMaster
			fmt.Printf("%s %s %v %v\n", ev.Kind, local.Member, stored == local, err)
			switch ev.Leader.Member {
			case "a":
				fmt.Println("force:", force(local.Token))
			case "b":
				fmt.Println("force once more:", errors.Is(force(term.Token()), tenure.ErrChanged))
				stop()
			default:
				go func() { _, _ = b.Campaign(ctx, "service", tenure.CampaignOptions{}) }()
			}
		},
	}.Observe(ctx, view) // SyncWait
	fmt.Println(err)
	// Output:
	// elected a true <nil>
	// force: <nil>
	// vacant  true <nil>
	// elected b true <nil>
	// force once more: true
	// <nil>
}

// What ends nothing goes to Error, and what ends all to Fatal.
func Example_errorsThatPass() {
	st := memstore.New()
	m := joined(st, "a")
	errs := make(chan error, 1)
	calls := tenure.Callbacks{
		Elected: func(context.Context, tenure.Term) error { return errors.New("not ready") },
		Error: func(err error) {
			select {
			case errs <- err:
			default: // not ready yet again
			}
		},
		Fatal: func(err error) { fmt.Println("fatal:", err) },
	}
	ended := make(chan error, 1)
	go func() { ended <- calls.Run(context.Background(), m, "service", tenure.LeadOptions{}) }()
	fmt.Println("error:", <-errs)
	_ = m.Close()
	fmt.Println("ended:", errors.Is(<-ended, tenure.ErrClosed))

	_ = st.Close()
	err := calls.Observe(context.Background(), tenure.NewView(st, "service"))
	fmt.Println(err)
	// Output:
	// error: not ready
	// fatal: lead "service": tenure: member closed
	// ended: true
	// fatal: observe "service": store: closed
	// observe "service": store: closed
}

// doozerVersion is the commit of caoimhechaos/go-doozer-masterelection.
const doozerVersion = "02eb2cf"

var doozerNames = []string{
	"MasterElectionClient", "NewMasterElectionClient", "MasterElectionClient.ForceMasterElection",
	"MasterElectionClient.GetCurrentMaster", "MasterElectionClient.ReadCurrentMaster",
	"MasterElectionClient.SyncWait", "MasterElectionEventReceiver", "MasterElectionEventReceiver.BecomeMaster",
	"MasterElectionEventReceiver.BecomeSlave", "MasterElectionEventReceiver.ElectionError",
	"MasterElectionEventReceiver.ElectionFatal",
}

// electRunNames are what its commands elect-run-command and testclient take.
var electRunNames = []string{
	"-name", "-participate", "-force-election", "-address", "-master-cmd", "-slave-cmd", "-error-cmd",
	"-doozer-uri", "-doozer-boot-uri", "-wait", "DOOZER_URI", "DOOZER_BOOT_URI", "MASTER",
}

// flockVersion is the commit of util-linux; the manual page of a release may lack the last
// options.
const flockVersion = "04649d5"

var flockNames = []string{
	"FILE CMD", "FILE -c CMD", "FD", "-s", "--shared", "-x", "-e", "--exclusive", "-u", "--unlock", "-n", "--nb", "--nonblock",
	"--nonblocking", "-w", "--wait", "--timeout", "-E", "--conflict-exit-code", "-o", "--close", "-F", "--no-fork",
	"--fcntl", "--start", "--length", "--verbose", "-h", "--help", "-V", "--version",
}

// etcdctlNames are of "etcdctl lock" and "etcdctl elect", as of concurrencyVersion, and
// without etcdctl's options of how to reach the servers.
var etcdctlNames = []string{
	"lock NAME CMD", "lock NAME", "--ttl", "ETCD_LOCK_KEY", "ETCD_LOCK_REV",
	"elect NAME PROPOSAL", "elect -l NAME", "--listen",
}
