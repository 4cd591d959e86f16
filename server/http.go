package server

import (
	"fmt"
	"net/http"

	"tarragon.dev/tarragon/internal/httpport"
)

// openHTTP answers scrapes and health checks where the configuration asks for it.
func (s *Server) openHTTP() error {
	addr := s.in.Tarragon.HTTPListen
	if addr == "" {
		return nil
	}
	scrapes, err := s.newExporter()
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	conf, err := s.httpTLS()
	if err != nil {
		return fmt.Errorf("tarragon.http_listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", scrapes)
	mux.HandleFunc("/livez", s.answerLive)
	mux.HandleFunc("/readyz", s.answerReady)
	mux.HandleFunc("/healthz", s.answerHealth)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		httpport.Answer(w, http.StatusNotFound, httpport.Why{Why: "/metrics, /livez, /readyz and /healthz are here"})
	})
	s.port.http, err = httpport.Open(given(addr), conf, mux, func(err error) {
		s.log.Error().Err(err).Msg("the port of metrics and health checks has ended")
	})
	if err != nil {
		return fmt.Errorf("tarragon.http_listen: %w", err)
	}
	s.log.Info().Strs("addr", s.port.http.Addrs()).Msg("metrics and health checks are here")
	return nil
}

func (s *Server) closeHTTP() {
	if s.port.http != nil {
		s.port.http.Close()
	}
}
