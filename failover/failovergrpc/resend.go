package failovergrpc

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

type resendKey struct{}

// WithResend marks the unary calls of a context as fit to be carried out more than
// once, whatever their method.
func WithResend(ctx context.Context) context.Context {
	return context.WithValue(ctx, resendKey{}, true)
}

// mayRepeat reports whether somebody says that the call may be carried out more
// than once.
func (c *call) mayRepeat() bool {
	if c.ctx.Value(resendKey{}) != nil || c.resend != nil && c.resend(c.method) {
		return true
	}
	return levels.idempotent(c.method)
}

// levels knows the idempotency_level of methods, by the descriptors that generated
// code registers.
var levels levelCache

// maxLevels bounds the methods remembered, for proxies that pass on any name.
const maxLevels = 4096

type levelCache struct {
	known sync.Map // method to bool
	size  atomic.Int64
}

func (c *levelCache) idempotent(method string) bool {
	if known, ok := c.known.Load(method); ok {
		return known.(bool)
	}
	is := describedIdempotent(method)
	if c.size.Load() < maxLevels {
		if _, was := c.known.LoadOrStore(method, is); !was {
			c.size.Add(1)
		}
	}
	return is
}

func describedIdempotent(method string) bool {
	name := strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return false // nobody has registered it
	}
	m, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return false
	}
	o, ok := m.Options().(*descriptorpb.MethodOptions)
	return ok && o.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
