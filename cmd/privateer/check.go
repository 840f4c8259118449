package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

type checkCommand struct {
	adminTarget

	MaxOldest  limitTime `default:"30s" placeholder:"30s" help:"Critical: a request has waited longer for a worker. off: not looked at."`
	MaxQueued  limit     `placeholder:"N" help:"Critical: more requests wait. Default: off."`
	MinWorkers limit     `placeholder:"N" help:"Critical: a service has fewer live workers. Default: off."`
	MaxDead    limit     `placeholder:"N" help:"Critical: there are more dead letters. Default: off."`
	MaxBusy    limitTime `placeholder:"TIME" help:"Critical: a worker has had a request for longer. Default: a warning when one hangs; off: not looked at."`
	MaxFailing percent   `placeholder:"PERCENT" help:"Critical: of what ended in the last five minutes, more of a service did not end OK. Default: a warning when a service fails; off: not looked at."`
	MaxLoopLag limitTime `default:"500ms" placeholder:"500ms" help:"Critical: the broker's loop was held up for longer, at worst, in the last ten seconds. off: not looked at."`

	WarnOldest  limitTime `placeholder:"TIME" help:"Warning: a request has waited longer. Default: half of --max-oldest."`
	WarnQueued  limit     `placeholder:"N" help:"Warning: more requests wait. Default: half of --max-queued."`
	WarnWorkers limit     `placeholder:"N" help:"Warning: a service has fewer live workers. Default: off."`
	WarnDead    limit     `placeholder:"N" help:"Warning: there are more dead letters. Default: half of --max-dead."`
	WarnBusy    limitTime `placeholder:"TIME" help:"Warning: a worker has had a request for longer. Default: half of --max-busy."`
	WarnFailing percent   `placeholder:"PERCENT" help:"Warning: more of a service did not end OK. Default: half of --max-failing."`
	WarnLoopLag limitTime `placeholder:"TIME" help:"Warning: the loop was held up for longer. Default: half of --max-loop-lag."`

	Service      []string `sep:"none" placeholder:"NAME" help:"Of the queues, runs, failures and workers, look at those of this service only. May be given more than once."`
	CriticalOnly bool     `help:"Exit 0 on a warning, too: for a container's health check, which knows only 0 and ill."`
	Format       string   `default:"text" enum:"text, json, nagios, prometheus" placeholder:"text" help:"What is printed: ${enum}."`
	JSON         bool     `help:"The same as --format json."`
}

// Help is the detailed help.
func (*checkCommand) Help() string {
	return `It asks once, prints a sentence for each thing that is not as it should be, the worst first, and exits by the worst. A broker that drains is a warning. So is a service that hangs (a run lasts for more than ten times as long as 99 of 100 take, and 10 s; a minute, where few have ended yet) or fails (of what ended in the last five minutes more than one in twenty did not end OK, three at least; cancelled ones do not count).

--format nagios is one line with performance data, for Nagios and its kin; prometheus is text for the node exporter's textfile collector; json has each value with its limits. Times in all three are in seconds, shares in percent.`
}

// Run asks the broker and judges what it says.
func (c *checkCommand) Run() error {
	if c.JSON {
		c.Format = "json"
	}
	r := c.report()
	if err := r.write(os.Stdout, c.Format); err != nil {
		return &exit{int(unknown), fmt.Errorf("cannot write to stdout: %w", err)}
	}
	if r.state == fine || r.state == warning && c.CriticalOnly {
		return nil
	}
	return &exit{code: int(r.state)} // all has been said
}

// report asks and judges. What keeps it from that is a report, too.
func (c *checkCommand) report() *checkReport {
	limits, err := c.limits()
	if err != nil {
		return cannotAsk(err)
	}
	a, err := c.client()
	if err != nil {
		return cannotAsk(err)
	}
	ctx, stop := untilSignal(func() {}, func() { os.Exit(int(unknown)) })
	defer stop()
	quiet := sayWaiting(a.Target())
	status, services, err := look(ctx, a)
	quiet()
	if err != nil {
		return cannotAsk(adminError(ctx, err))
	}
	return judge(&status, c.chosen(services), limits)
}

func look(ctx context.Context, a *adminapi.Client) (s adminapi.Status, services []adminapi.Service, err error) {
	if s, err = a.Status(ctx); err == nil {
		services, err = a.Services(ctx)
	}
	return s, services, err
}

// chosen are the services to look at. One that the broker does not know has
// neither workers nor requests.
func (c *checkCommand) chosen(all []adminapi.Service) []adminapi.Service {
	if len(c.Service) == 0 {
		return all
	}
	var list []adminapi.Service
	for _, name := range c.Service {
		i := slices.IndexFunc(all, func(s adminapi.Service) bool { return s.Name == name })
		if i < 0 {
			list = append(list, adminapi.Service{Name: name})
			continue
		}
		list = append(list, all[i])
	}
	return list
}

// limits are the limits of each check, by its name.
func (c *checkCommand) limits() (map[string]limits, error) {
	all := map[string]limits{
		"oldest":   {warn: limit(c.WarnOldest), critical: limit(c.MaxOldest)},
		"queued":   {warn: c.WarnQueued, critical: c.MaxQueued},
		"workers":  {warn: c.WarnWorkers, critical: c.MinWorkers, below: true},
		"dead":     {warn: c.WarnDead, critical: c.MaxDead},
		"busy":     {warn: limit(c.WarnBusy), critical: limit(c.MaxBusy)},
		"failing":  {warn: limit(c.WarnFailing), critical: limit(c.MaxFailing)},
		"loop-lag": {warn: limit(c.WarnLoopLag), critical: limit(c.MaxLoopLag)},
	}
	for name, l := range all {
		if l.warn.on && l.critical.on && (l.warn.n > l.critical.n) != l.below && l.warn.n != l.critical.n {
			flags := "--warn-" + name + " is above --max-" + name
			if l.below {
				flags = "--warn-" + name + " is below --min-" + name
			}
			return nil, fmt.Errorf("%s: the warning would come after the alarm", flags)
		}
		if l.warn == (limit{}) && l.critical.on && !l.below {
			l.warn = limit{on: true, n: l.critical.n / 2}
			if name == "queued" || name == "dead" {
				l.warn.n = math.Floor(l.warn.n)
			}
		}
		all[name] = l
	}
	return all, nil
}
