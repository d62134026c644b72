package cli

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"clicktodial/server/retention"
)

// metrics are counted by closed sets: routes, statuses, names. Never by ids.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec

	purgedRecords *prometheus.CounterVec // by kind: calls, others
	purgedAt      prometheus.Gauge
	purgeFailures prometheus.Counter
}

func newMetrics(s *services) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ctd_http_request_seconds", Help: "Answered requests by route and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}, []string{"route", "status"}),
		purgedRecords: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ctd_purged_total", Help: "Records that this replica has deleted because their time had come.",
		}, []string{"kind"}),
		purgedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ctd_purge_last_success_seconds", Help: "When this replica's last whole purge ended, Unix time. One replica purges at a time: watch the greatest of all.",
		}),
		purgeFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ctd_purge_failures_total", Help: "Purges of this replica that were not whole.",
		}),
	}
	for _, kind := range []string{"calls", "others"} {
		m.purgedRecords.WithLabelValues(kind)
	}
	gauge := func(name, help string, up func() bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			if up() {
				return 1
			}
			return 0
		})
	}
	m.registry.MustRegister(m.requests, m.purgedRecords, m.purgedAt, m.purgeFailures, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("ctd_pbx_up", "1 while the line to the installation's PBX is up.", func() bool { return s.lines.Up() == nil }),
		gauge("ctd_redis_up", "1 while Redis answers.", func() bool { return !s.redis.Down() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ctd_calls_followed", Help: "Calls that this replica follows."},
			func() float64 { return float64(s.calls.Following()) }))
	return m
}

func (m *metrics) observe(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *metrics) purged(calls, others int64) {
	m.purgedRecords.WithLabelValues("calls").Add(float64(calls))
	m.purgedRecords.WithLabelValues("others").Add(float64(others))
}

func (m *metrics) purgeEnded(_ retention.Purged, err error) {
	if err != nil {
		m.purgeFailures.Inc()
		return
	}
	m.purgedAt.SetToCurrentTime()
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
