package embedded_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/embedded"
)

// A cluster of one: elections that outlive the program, without another one beside it.
func Example() {
	dir, err := os.MkdirTemp("", "embedded")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is an example

	ctx := context.Background()
	s, err := embedded.Start(ctx, embedded.Config{Name: "a", Dir: filepath.Join(dir, "a"), Client: "127.0.0.1:12379"})
	if err != nil {
		log.Fatal(err)
	}
	st, err := s.Store(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	err = tenure.Lead(ctx, st, "nightly", func(_ context.Context, t tenure.Term) error {
		fmt.Println("leading:", t.Held())
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := st.Close(); err != nil {
		log.Fatal(err)
	}
	if err := s.Close(); err != nil {
		log.Fatal(err)
	}
	// Output: leading: true
}

// The leader runs beside etcd's leader. Every server of the cluster has such a member;
// here there is one.
func ExampleServer_Policy() {
	dir, err := os.MkdirTemp("", "embedded")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is an example

	ctx := context.Background()
	s, err := embedded.Start(ctx, embedded.Config{Name: "a", Dir: filepath.Join(dir, "a"), Client: "127.0.0.1:12380"})
	if err != nil {
		log.Fatal(err)
	}
	st, err := s.Store(ctx, "") // of this server alone: it is the member's health
	if err != nil {
		log.Fatal(err)
	}
	m, err := tenure.Join(ctx, st, s.Options(tenure.Options{Endpoint: "10.0.0.1:80"}))
	if err != nil {
		log.Fatal(err)
	}
	err = m.Lead(ctx, "placement", func(_ context.Context, t tenure.Term) error {
		fmt.Println("etcd's leader is", s.Leader())
		fmt.Println(m.ID(), "leads:", t.Held())
		return nil
	}, tenure.LeadOptions{Policy: s.Policy()})
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Close(); err != nil {
		log.Fatal(err)
	}
	if err := st.Close(); err != nil {
		log.Fatal(err)
	}
	if err := s.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// etcd's leader is a
	// a leads: true
}
