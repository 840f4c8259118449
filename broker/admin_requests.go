package broker

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// heldMax is how many ids of what it holds are told of each worker.
const heldMax = 8

// requests lists the open requests, the oldest first.
func (a *admin) requests(w http.ResponseWriter, r *http.Request) {
	q, wrong := query(r.URL.Query())
	if wrong != "" {
		refuse(w, http.StatusBadRequest, adminapi.CodeBadRequest, wrong)
		return
	}
	var open []core.RequestInfo
	list := adminapi.Requests{Requests: []adminapi.Request{}}
	if !a.ask(w, func(l *loop) { open, list.More = l.core.Requests(l.now(), q) }) {
		return
	}
	for i := range open {
		o := &open[i]
		k := adminapi.Request{ID: o.ID.String(), Service: o.Service, State: o.State, Attempt: int(o.Attempt), AgeMS: o.Age.Milliseconds(),
			LeftMS: max(o.Left.Milliseconds(), 0), HeldMS: o.Held.Milliseconds(), Started: o.Started, Clients: o.Clients}
		if o.Worker != 0 {
			k.Worker = workerName(o.Worker)
		}
		list.Requests = append(list.Requests, k)
	}
	reply(w, list)
}

// query reads what is asked for; wrong says what cannot be.
func query(v url.Values) (q core.Query, wrong string) {
	q.Service, q.State = v.Get("service"), v.Get("state")
	if q.State != "" && !adminapi.IsRequestState(q.State) {
		return q, "state is " + clip(q.State) + "; want " + adminapi.RequestStates
	}
	if v.Has("service") {
		if why := protocol.ValidService([]byte(q.Service)); why != "" {
			return q, "service: " + why
		}
	}
	number := func(name string, most int64) (n int64) {
		if text := v.Get(name); text != "" {
			var err error
			if n, err = strconv.ParseInt(text, 10, 64); err != nil || n < 0 || n > most {
				wrong = name + " is " + clip(text) + "; want a whole number from 0 to " + strconv.FormatInt(most, 10)
			}
		}
		return n
	}
	q.Older = time.Duration(number("older_than_ms", protocol.DurationMSMax)) * time.Millisecond
	q.Max = int(number("limit", core.QueryMax))
	return q, wrong
}

// cancelTime is how long one call withdraws, in small slices; the next one goes on.
const cancelTime = time.Second

// cancelService withdraws what is open of a service.
func (a *admin) cancelService(w http.ResponseWriter, r *http.Request) {
	withdrawal := core.Withdrawal{Service: r.PathValue("name")}
	began := time.Now()
	for done := false; !done && r.Context().Err() == nil; {
		if !a.ask(w, func(l *loop) {
			l.out, done = l.core.WithdrawSome(l.now(), &withdrawal, l.out)
			l.deliver()
		}) {
			return
		}
		if !done && time.Since(began) >= cancelTime {
			withdrawal.More = true
			break
		}
	}
	if !withdrawal.Known {
		done(w, false, "no request and no worker names the service "+clip(withdrawal.Service))
		return
	}
	reply(w, adminapi.Cancelled{Cancelled: withdrawal.Ended, More: withdrawal.More})
}

func (a *admin) workers(w http.ResponseWriter, _ *http.Request) {
	var workers []core.WorkerInfo
	held := map[uint64][]protocol.ID{}
	var addresses map[address]string
	if !a.ask(w, func(l *loop) {
		addresses = l.addresses()
		workers = l.core.Workers(l.now())
		for i := range workers {
			if k := &workers[i]; k.Running > 0 {
				held[k.Instance] = l.core.Held(k.Instance, heldMax)
			}
		}
	}) {
		return
	}
	list := make([]adminapi.Worker, 0, len(workers))
	for i := range workers {
		k := &workers[i]
		out := adminapi.Worker{Worker: workerName(k.Instance), Dialect: k.Dialect.String(), State: k.State, Services: k.Services,
			Label: k.Info.Label, Host: k.Info.Host, Process: k.Info.Process, Version: k.Info.Version, Address: addresses[address{k.Port, string(k.Peer)}],
			Credit: k.Credit, Running: k.Running, BusyMS: k.BusySince.Milliseconds(), SeenMS: k.Seen.Milliseconds(), Requests: []string{}}
		for _, id := range held[k.Instance] {
			out.Requests = append(out.Requests, id.String())
		}
		list = append(list, out)
	}
	reply(w, list)
}

// An address names a connection: a port, and the routing id there.
type address struct {
	port protocol.Port
	peer string
}

// addresses are where the connections come from, as far as the transport knows.
func (l *loop) addresses() map[address]string {
	all := map[address]string{}
	for at := range portNames {
		if o, ok := l.ports[at].(link.Observed); ok {
			for _, p := range o.Peers(nil) {
				all[address{protocol.Port(at), string(p.Peer)}] = p.Address
			}
		}
	}
	return all
}
