package server

import (
	"strings"

	"tarragon.dev/tarragon/internal/metrics"
	"tarragon.dev/tarragon/proc"
)

// What clients ask for (box.stat.net, box.stat).
var (
	netSent          = Metrics.Counter("network", "tnt_net_sent_total", "Bytes sent to clients and peers.")
	netReceived      = Metrics.Counter("network", "tnt_net_received_total", "Bytes received from clients and peers.")
	netConns         = Metrics.Counter("network", "tnt_net_connections_total", "Connections that were made to this instance.")
	netConnsNow      = Metrics.Gauge("network", "tnt_net_connections_current", "Connections that are open.")
	netRequests      = Metrics.Counter("network", "tnt_net_requests_total", "Requests.")
	netRequestsNow   = Metrics.Gauge("network", "tnt_net_requests_current", "Requests that have no answer yet.")
	netInProgress    = Metrics.Counter("network", "tnt_net_requests_in_progress_total", "Requests that were begun: all.")
	netInProgressNow = Metrics.Gauge("network", "tnt_net_requests_in_progress_current", "Requests that were begun and have no answer yet.")
	netQueued        = Metrics.Counter("network", "tnt_net_requests_in_stream_queue_total", "Requests that came behind another one of their stream.")
	netQueuedNow     = Metrics.Gauge("network", "tnt_net_requests_in_stream_queue_current", "Requests that wait for another one of their stream.")
	netHandshakes    = Metrics.Counter("tarragon", "tarragon_tls_handshakes_total", "TLS handshakes of clients and peers, by how they ended: ok or failed.", "result")
	statsOp          = Metrics.Counter("operations", "tnt_stats_op_total", "Requests by their kind; error: answers that are errors.", "operation")
)

func (f *figures) network(to *metrics.Samples) {
	st := &f.net
	metrics.Count(to, netSent, st.Sent.Total)
	metrics.Count(to, netReceived, st.Received.Total)
	metrics.Count(to, netConns, st.Connections.Total)
	metrics.Count(to, netConnsNow, st.Open)
	metrics.Count(to, netRequests, st.All.Total)
	metrics.Count(to, netRequestsNow, st.InProgress)
	metrics.Count(to, netInProgress, st.All.Total)
	metrics.Count(to, netInProgressNow, st.InProgress)
	metrics.Count(to, netQueued, st.Queued.Total)
	metrics.Count(to, netQueuedNow, st.QueuedNow)
	metrics.Count(to, netHandshakes, st.Handshakes.Total, "ok")
	metrics.Count(to, netHandshakes, st.BadHandshakes.Total, "failed")
	named := byName(st)
	for _, name := range proc.StatNames {
		metrics.Count(to, statsOp, named[name].Total, strings.ToLower(name))
	}
}
