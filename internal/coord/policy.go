package coord

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// policies are what this process goes by in its calls of one service.
type policies struct {
	mu    sync.Mutex
	parts map[string]uint64 // hash of the text of each; one an endpoint and a few
	hash  atomic.Uint32
}

// TellPolicy tells a part of what this process goes by: a text of what is in force,
// defaults filled in, that begins with what it is about and is the same in every
// process. The last word on a part counts.
func (s *Service) TellPolicy(part, text string) {
	if s == nil {
		return
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	p := &s.policies
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts == nil {
		p.parts = map[string]uint64{}
	}
	p.parts[part] = h.Sum64()
	all := fnv.New32a()
	for _, part := range slices.Compact(slices.Sorted(maps.Values(p.parts))) {
		_, _ = all.Write(binary.BigEndian.AppendUint64(nil, part))
	}
	p.hash.Store(max(all.Sum32(), 1))
}

// TellPolicy tells what this process goes by in its calls of the endpoint; see that
// of Service.
func (e *Endpoint) TellPolicy(text string) {
	if e != nil {
		e.service.TellPolicy("endpoint "+e.name, text)
	}
}

// Policy stands for all that this process goes by: FNV-1a over the different texts of
// its parts, in order; 0 if it has none. Which part says what is left out, for a
// process that has not come to make the breaker of some endpoint yet must not differ
// from one that has made it with the same numbers as the rest.
func (s *Service) Policy() uint32 {
	if s == nil {
		return 0
	}
	return s.policies.hash.Load()
}
