package console

import (
	"net/http"
	"strconv"
	"time"
)

// history is a gossip.History in columns, as plots take it.
type history struct {
	Without int      `json:"without"`
	Series  []series `json:"series"`
}

type series struct {
	Service  string    `json:"service"`
	Endpoint string    `json:"endpoint"`
	At       []int64   `json:"at"`
	Phi      []float32 `json:"phi"`
	Wanted   []float32 `json:"wanted"`
	OK       []float32 `json:"ok"`
	Failed   []float32 `json:"failed"`
	Retries  []float32 `json:"retries"`
	Demand   []float32 `json:"demand"`
}

func (h *handler) history(w http.ResponseWriter, r *http.Request) {
	since := time.Time{}
	if s := r.URL.Query().Get("since"); s != "" {
		ms, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			http.Error(w, "since is not a number of Unix milliseconds", http.StatusBadRequest)
			return
		}
		since = time.UnixMilli(ms)
	}
	was := h.c.History(r.URL.Query().Get("service"), since)
	all := history{Without: was.Without, Series: make([]series, len(was.Series))}
	for i, s := range was.Series {
		n := len(s.Points)
		rates := make([]float32, 6*n)
		column := func(i int) []float32 { return rates[i*n : (i+1)*n : (i+1)*n] }
		q := series{s.Service, s.Endpoint, make([]int64, n), column(0), column(1), column(2), column(3), column(4), column(5)}
		for j, p := range s.Points {
			q.At[j] = p.At.UnixMilli()
			q.Phi[j], q.Wanted[j], q.OK[j] = float32(p.Phi), float32(p.Wanted), float32(p.OK)
			q.Failed[j], q.Retries[j], q.Demand[j] = float32(p.Failed), float32(p.Retries), float32(p.Demand)
		}
		all.Series[i] = q
	}
	h.json(w, all)
}
