//go:build unix

package main

import (
	"context"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/tenuretest"
)

const (
	sampleEvery = 5 * time.Millisecond
	reportEvery = int64(50 * time.Millisecond)
	afterwards  = 3 // how often a term is asked once more when it is not held
)

// sampler asks every few milliseconds of each term whether it is held, and reports
// the first and last yes, some in between, and the first no.
type sampler struct {
	*printer
	held func(*tenure.Leadership) bool

	mu    sync.Mutex
	terms map[*tenure.Leadership]*answers
}

// answers are those of one term. Times are from before a question that was answered
// with yes, and from after one that was answered with no: what is held was held a
// moment ago, and what is not will never be.
type answers struct {
	reported, yes int64
	no            int
}

func newSampler(p *printer) *sampler {
	return &sampler{printer: p, held: (*tenure.Leadership).Held, terms: map[*tenure.Leadership]*answers{}}
}

// run samples until the context ends.
func (s *sampler) run(ctx context.Context) {
	every := time.NewTicker(sampleEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			s.sample()
		case <-ctx.Done():
			return
		}
	}
}

// track samples a term from now on.
func (s *sampler) track(l *tenure.Leadership) {
	s.mu.Lock()
	s.terms[l] = &answers{}
	s.mu.Unlock()
	s.sample()
}

func (s *sampler) sample() {
	for _, r := range s.ask() {
		s.print(r)
	}
}

func (s *sampler) ask() (news []report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l, a := range s.terms {
		said := func(kind tenuretest.Kind, at int64) {
			news = append(news, report{At: at, What: kind.String(), Election: l.Election(), Token: l.Token()})
		}
		before := clock()
		if s.held(l) {
			a.yes = before
			if before-a.reported > reportEvery {
				a.reported = before
				said(tenuretest.Held, before)
			}
			continue
		}
		if a.yes > a.reported {
			a.reported = a.yes
			said(tenuretest.Held, a.yes)
		}
		if a.no == 0 {
			said(tenuretest.NotHeld, clock())
		}
		if a.no++; a.no > afterwards {
			delete(s.terms, l)
		}
	}
	return news
}
