package router

import "tarragon.dev/tarragon/internal/metrics"

// Metrics are the figures of a router. What counts up does so from the start of the process.
var Metrics metrics.Set

// metricsGroup is the group of all of them.
const metricsGroup = "tarragon"

// Of each port.
var (
	mPortInstances   = Metrics.Gauge(metricsGroup, "tarragon_router_port_instances", "Instances that a port leads to.", "port")
	mClients         = Metrics.Gauge(metricsGroup, "tarragon_router_clients", "Connections of clients.", "port")
	mClientsLoggedIn = Metrics.Gauge(metricsGroup, "tarragon_router_clients_logged_in", "Connections of clients that are logged in.", "port")
	mConnections     = Metrics.Counter(metricsGroup, "tarragon_router_connections_total", "Connections that clients have made.", "port")
	mClientsRefused  = Metrics.Counter(metricsGroup, "tarragon_router_clients_refused_total", "Clients for whom there was no room.", "port")
	mLoginsFailed    = Metrics.Counter(metricsGroup, "tarragon_router_logins_failed_total", "Logins with a wrong password.", "port")
	mRequests        = Metrics.Counter(metricsGroup, "tarragon_router_requests_total", "Requests of clients.", "port")
	mErrors          = Metrics.Counter(metricsGroup, "tarragon_router_errors_total", "Errors among the answers.", "port")
	mReceivedBytes   = Metrics.Counter(metricsGroup, "tarragon_router_received_bytes_total", "Bytes from clients.", "port")
	mSentBytes       = Metrics.Counter(metricsGroup, "tarragon_router_sent_bytes_total", "Bytes to clients.", "port")
)

// Of each instance.
var (
	mInstanceUp         = Metrics.Gauge(metricsGroup, "tarragon_router_instance_up", "Whether an instance answers.", "instance")
	mInstanceLeads      = Metrics.Gauge(metricsGroup, "tarragon_router_instance_leads", "Whether the router takes an instance for the leader.", "instance")
	mInstanceFenced     = Metrics.Gauge(metricsGroup, "tarragon_router_instance_fenced", "Whether administrators keep clients away from an instance.", "instance")
	mInstanceTerm       = Metrics.Gauge(metricsGroup, "tarragon_router_instance_term", "The term of an instance.", "instance")
	mInstanceClients    = Metrics.Gauge(metricsGroup, "tarragon_router_instance_clients", "Clients whose requests go to an instance.", "instance")
	mBackends           = Metrics.Gauge(metricsGroup, "tarragon_router_backends", "Connections to an instance for clients.", "instance")
	mRequestsUnderWay   = Metrics.Gauge(metricsGroup, "tarragon_router_requests_under_way", "Requests on these connections.", "instance")
	mInstanceLagSeconds = Metrics.Gauge(metricsGroup, "tarragon_router_instance_lag_seconds", "How far an instance is behind the leader, by the router's clock.", "instance")
)

// Of the router.
var (
	mFailovers         = Metrics.Counter(metricsGroup, "tarragon_router_failovers_total", "Times that another instance came to lead.")
	mFailoversHidden   = Metrics.Counter(metricsGroup, "tarragon_router_failovers_hidden_total", "Failovers over which no client was told an error of the router's own.")
	mHeldRequests      = Metrics.Gauge(metricsGroup, "tarragon_router_held_requests", "Requests that wait for an instance.")
	mHeldBytes         = Metrics.Gauge(metricsGroup, "tarragon_router_held_bytes", "What these take of hold_bytes.")
	mHeldTotal         = Metrics.Counter(metricsGroup, "tarragon_router_held_requests_total", "Requests that have waited for an instance.")
	mExpiredRequests   = Metrics.Counter(metricsGroup, "tarragon_router_expired_requests_total", "Requests that no instance took within hold_time.")
	mRefusedRequests   = Metrics.Counter(metricsGroup, "tarragon_router_refused_requests_total", "Times that an instance refused a request which then went to another one.")
	mResentRequests    = Metrics.Counter(metricsGroup, "tarragon_router_resent_requests_total", "Requests that went on to another connection when theirs ended.")
	mUnknownRequests   = Metrics.Counter(metricsGroup, "tarragon_router_unknown_requests_total", "Requests whose outcome nobody could tell.")
	mNumberedWrites    = Metrics.Counter(metricsGroup, "tarragon_router_numbered_writes_total", "Writes that had a number of an exactly-once session.")
	mRepeatedWrites    = Metrics.Counter(metricsGroup, "tarragon_router_repeated_writes_total", "Writes that were sent once more under their number.")
	mSessions          = Metrics.Gauge(metricsGroup, "tarragon_router_sessions", "Exactly-once sessions that are open.")
	mSessionSlots      = Metrics.Gauge(metricsGroup, "tarragon_router_session_slots", "Slots of these sessions.")
	mSessionSlotsTaken = Metrics.Gauge(metricsGroup, "tarragon_router_session_slots_taken", "Slots that have a write under way.")
)

// Collect puts the numbers.
func (st *Stats) Collect(to *metrics.Samples) {
	for i := range st.Ports {
		st.Ports[i].collect(to)
	}
	for i := range st.Instances {
		st.Instances[i].collect(to, st.Leader)
	}
	metrics.Count(to, mFailovers, st.Failovers)
	metrics.Count(to, mFailoversHidden, st.Hidden)
	metrics.Count(to, mHeldRequests, st.Held.Now)
	metrics.Count(to, mHeldBytes, st.Held.Bytes)
	metrics.Count(to, mHeldTotal, st.Held.Total)
	metrics.Count(to, mExpiredRequests, st.Held.Expired)
	metrics.Count(to, mRefusedRequests, st.Held.Refused)
	metrics.Count(to, mResentRequests, st.Held.Again)
	metrics.Count(to, mUnknownRequests, st.Held.Unknown)
	metrics.Count(to, mNumberedWrites, st.Writes.Numbered)
	metrics.Count(to, mRepeatedWrites, st.Writes.Repeated)
	metrics.Count(to, mSessions, st.Writes.Sessions)
	metrics.Count(to, mSessionSlots, st.Writes.Slots)
	metrics.Count(to, mSessionSlotsTaken, st.Writes.Taken)
}

func (p *PortStats) collect(to *metrics.Samples) {
	metrics.Count(to, mPortInstances, len(p.LeadsTo), p.Port)
	metrics.Count(to, mClients, p.Clients, p.Port)
	metrics.Count(to, mClientsLoggedIn, p.LoggedIn, p.Port)
	metrics.Count(to, mConnections, p.Connections, p.Port)
	metrics.Count(to, mClientsRefused, p.Refused, p.Port)
	metrics.Count(to, mLoginsFailed, p.Failed, p.Port)
	metrics.Count(to, mRequests, p.Requests, p.Port)
	metrics.Count(to, mErrors, p.Errors, p.Port)
	metrics.Count(to, mReceivedBytes, p.Received, p.Port)
	metrics.Count(to, mSentBytes, p.Sent, p.Port)
}

func (in *InstanceStats) collect(to *metrics.Samples, leader string) {
	to.Yes(mInstanceUp, in.Answers, in.Name)
	to.Yes(mInstanceLeads, in.Name == leader, in.Name)
	to.Yes(mInstanceFenced, in.Fenced, in.Name)
	metrics.Count(to, mInstanceTerm, in.Term, in.Name)
	metrics.Count(to, mInstanceClients, in.Clients, in.Name)
	metrics.Count(to, mBackends, in.Backends, in.Name)
	metrics.Count(to, mRequestsUnderWay, in.UnderWay, in.Name)
	if in.Lag != nil {
		to.Put(mInstanceLagSeconds, *in.Lag, in.Name)
	}
}
