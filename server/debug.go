package server

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// openDebug serves Go's profiler where the configuration asks for it. It has a
// mux of its own: nothing else is reachable there.
func (s *Server) openDebug() error {
	addr := s.in.Tarragon.DebugListen
	if addr == "" {
		return nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("tarragon.debug_listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s.port.debug = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	s.bg.Go(func() { _ = s.port.debug.Serve(ln) }) // ends by Close
	s.log.Warn().Str("addr", ln.Addr().String()).Msg("the profiler is open to everybody who reaches this address")
	return nil
}

func (s *Server) closeDebug() {
	if s.port.debug != nil {
		_ = s.port.debug.Close()
	}
}
