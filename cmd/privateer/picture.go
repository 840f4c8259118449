package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// A picture is all that top shows of one moment.
type picture struct {
	Status   adminapi.Status    `json:"status"`
	Services []adminapi.Service `json:"services"` // the oldest first
	Workers  []adminapi.Worker  `json:"workers"`  // the longest busy first

	target string
}

// takePicture asks for everything.
func takePicture(ctx context.Context, a *adminapi.Client) (*picture, error) {
	p := &picture{target: a.Target()}
	var err error
	if p.Status, err = a.Status(ctx); err != nil {
		return nil, err
	}
	if p.Services, err = a.Services(ctx); err != nil {
		return nil, err
	}
	if p.Workers, err = a.Workers(ctx); err != nil {
		return nil, err
	}
	ill := func(s *adminapi.Service) int {
		if s.Hanging || s.Failing {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(p.Services, func(a, b adminapi.Service) int {
		return cmp.Or(ill(&b)-ill(&a), cmp.Compare(b.OldestMS, a.OldestMS))
	})
	slices.SortStableFunc(p.Workers, func(a, b adminapi.Worker) int { return cmp.Compare(b.BusyMS, a.BusyMS) })
	return p, nil
}

// lines draw the picture in so many lines at most; 0: as many as it takes.
func (p *picture) lines(most int) []string {
	services, workers := servicesTable(p.Services).lines(), workersTable(p.Workers).lines()
	head := p.head()
	if most > 0 {
		room := max(most-len(head)-2, 4) // 2: an empty line above each table
		// Each has half of the room, and what the other does not need.
		half := room / 2
		forServices := max(half, room-len(workers))
		services = clipLines(services, forServices)
		workers = clipLines(workers, room-len(services))
	}
	lines := append(head, "")
	lines = append(lines, services...)
	lines = append(lines, "")
	lines = append(lines, workers...)
	if most > 0 && len(lines) > most {
		lines = lines[:most]
	}
	return lines
}

// clipLines says on the last line how many are left out.
func clipLines(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	most = max(most, 1)
	return append(slices.Clone(lines[:most-1]), fmt.Sprintf("… %d more", len(lines)-most+1))
}

// head says how the broker stands as a whole.
func (p *picture) head() []string {
	s := &p.Status
	state := "serving"
	if s.Draining {
		state = "draining"
	}
	lag := human(time.Duration(s.LoopLagMS * float64(time.Millisecond)))
	if s.StoodStill() {
		lag += ": this machine stood still"
	}
	up := human(time.Duration(s.UptimeMS) * time.Millisecond)
	return []string{
		oneLine(fmt.Sprintf("privateer %s at %s: %s, up %s, epoch %s", s.Version, p.target, state, up, s.Epoch)),
		fmt.Sprintf("requests: %d open, %d queued, %d running, the oldest waits %s; %s", s.Open, s.Queued, s.Running,
			ms(s.OldestMS), number(s.DeadLetters, "dead letter")),
		fmt.Sprintf("workers: %d, %d lost so far, %d redelivered; loop %.0f%% busy, lag %s", s.Workers, s.WorkersLost, s.Redelivered,
			100*s.Busy, lag),
	}
}
