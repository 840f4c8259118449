package history

import "testing"

// Each story is a request that is asked at 3.0 s and run a second time at
// 9.0 s, by another worker.
func twice(s *story, end int, how string) {
	s.ask(3000, "a", Generous, 60_000)
	s.runTo(3010, end, "worker-2.1", "a", 1, how)
	s.run(9000, 9010, "worker-1.1", "a", 2)
	s.ok(9020, "a")
}

func TestReruns(t *testing.T) {
	explained, not := verdict{explained: 1}, verdict{repeated: 1}
	play(t, []storyTest{
		{"for no reason", func(s *story) { twice(s, 3050, EndedOK) }, not},
		{"another worker was killed", func(s *story) { twice(s, 3050, EndedOK); s.fault(3040, Kill, "worker-3.1") }, not},
		{"its worker was killed", func(s *story) { twice(s, 0, ""); s.fault(3040, Kill, "worker-2.1") }, explained},
		{"its worker was killed, but later", func(s *story) { twice(s, 3050, EndedOK); s.fault(9005, Kill, "worker-2.1") }, not},
		{"its worker was frozen for liveness", func(s *story) {
			twice(s, 9500, EndedOK)
			s.fault(3020, Freeze, "worker-2.1")
			s.mend(9200, Freeze, "worker-2.1")
		}, explained},
		{"its worker was frozen for a moment", func(s *story) {
			twice(s, 6000, EndedOK)
			s.fault(3020, Freeze, "worker-2.1")
			s.mend(5000, Freeze, "worker-2.1")
		}, not},
		{"its worker was frozen long, but that was over", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(2200, Freeze, "worker-2.1")
			s.mend(3005, Freeze, "worker-2.1")
		}, not},
		{"its worker froze too shortly before the rerun", func(s *story) {
			twice(s, 0, "")
			s.fault(7500, Freeze, "worker-2.1")
			s.mend(20_000, Freeze, "worker-2.1")
		}, not},
		{"the link of its worker was cut", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(3020, Cut, "worker-2")
			s.mend(3100, Cut, "worker-2")
		}, explained},
		{"the link of its worker was reset before", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(2900, RST, "worker-2")
			s.mend(3005, RST, "worker-2")
		}, not},
		{"another link was cut", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(3020, Cut, "worker-1")
			s.mend(9500, Cut, "worker-1")
		}, not},
		{"a drain handed it back", func(s *story) { twice(s, 3500, EndedDrained); s.fault(3100, Drain, "worker-2.1") }, explained},
		{"a drain, but the run was finished and acknowledged", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(3040, Drain, "worker-2.1")
			s.exit(3060, "worker-2.1", "exit status 0", true)
		}, not},
		{"a drain, and the reply was not acknowledged", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(3040, Drain, "worker-2.1")
			s.exit(3060, "worker-2.1", HowUnacknowledged, true)
		}, explained},
		{"the broker was killed", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(3060, Kill, "broker.1")
			s.add(3500, Event{Kind: Ready, Proc: "broker.2"})
		}, not},
		{"the broker was killed, and its worker drained", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(3055, Drain, "worker-2.1")
			s.exit(3059, "worker-2.1", "exit status 0", true)
			s.fault(3060, Kill, "broker.1")
			s.add(3500, Event{Kind: Ready, Proc: "broker.2"})
		}, explained},
		{"the broker was killed, and its worker out of reach", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(3060, Kill, "broker.1")
			s.add(3500, Event{Kind: Ready, Proc: "broker.2"})
			s.fault(3060, Freeze, "worker-2.1")
			s.mend(4500, Freeze, "worker-2.1")
		}, explained},
		{"the broker was killed, and its worker frozen for a blink", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(3060, Kill, "broker.1")
			s.add(3500, Event{Kind: Ready, Proc: "broker.2"})
			s.fault(3060, Freeze, "worker-2.1")
			s.mend(3500, Freeze, "worker-2.1")
		}, not},
		{"the broker was frozen", func(s *story) {
			twice(s, 3050, EndedOK)
			s.fault(3060, Freeze, "broker.1")
			s.mend(8500, Freeze, "broker.1")
		}, not},
	})
}

// Worker 2 has the request first, freezes before its first step, and begins
// when worker 1 has begun.
func caught(s *story, key string, from, to, attempt int) {
	s.ask(3000, key, Generous, 60_000)
	s.run(8000, 8500, "worker-1.1", key, 2)
	s.run(8010, 8510, "worker-2.1", key, attempt)
	s.ok(9020, key)
	s.fault(from, Freeze, "worker-2.1")
	s.mend(to, Freeze, "worker-2.1")
}

func TestCaughtByAFreeze(t *testing.T) {
	explained, not := verdict{explained: 1}, verdict{repeated: 1}
	play(t, []storyTest{
		{"it goes on", func(s *story) { caught(s, "a", 3001, 8011, 1) }, explained},
		{"two go on", func(s *story) {
			caught(s, "a", 3001, 8011, 1)
			s.ask(3000, "b", Generous, 60_000)
			s.run(8000, 8500, "worker-1.1", "b", 2)
			s.run(8010, 8510, "worker-2.1", "b", 1)
			s.ok(9020, "b")
		}, verdict{explained: 1, repeated: 1}},
		{"it was handed out later", func(s *story) { caught(s, "a", 3001, 8011, 3) }, not},
		{"frozen before it was asked", func(s *story) { caught(s, "a", 2900, 8011, 1) }, not},
		{"frozen for a moment", func(s *story) { caught(s, "a", 6500, 8011, 1) }, not},
		{"not frozen when the other began", func(s *story) { caught(s, "a", 3001, 7900, 1) }, not},
	})
}

func TestAtMostOnce(t *testing.T) {
	play(t, []storyTest{
		{"once", func(s *story) {
			s.askOnce(3000, "a")
			s.run(3010, 3020, "worker-2.1", "a", 1)
			s.ok(3030, "a")
		}, verdict{}},
		{"nothing explains a second start", func(s *story) {
			s.askOnce(3000, "a")
			s.run(3010, 0, "worker-2.1", "a", 1)
			s.fault(3020, Kill, "worker-2.1")
			s.run(9000, 9010, "worker-1.1", "a", 2)
			s.ok(9020, "a")
		}, verdict{repeated: 1}},
		{"nor a third", func(s *story) {
			s.askOnce(3000, "a")
			s.run(3010, 3011, "worker-2.1", "a", 1)
			s.run(3020, 3021, "worker-2.1", "a", 2)
			s.run(3030, 3031, "worker-2.1", "a", 3)
			s.ok(9020, "a")
		}, verdict{repeated: 2}},
	})
}
