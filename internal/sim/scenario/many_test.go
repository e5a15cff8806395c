package scenario

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func TestManyQ(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("MANY"))
	if n == 0 {
		t.Skip()
	}
	each, _ := strconv.ParseFloat(os.Getenv("EACH"), 64)
	start := time.Now()
	s := Many{N: n, Services: 50, Seed: 1, Each: each}
	t.Logf("%+v %v", s.Run(), time.Since(start))
}
