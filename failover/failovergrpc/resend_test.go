package failovergrpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
)

// describe registers a service as generated code does.
func describe(t *testing.T, pkg string, methods map[string]*descriptorpb.MethodOptions_IdempotencyLevel) {
	t.Helper()
	service := &descriptorpb.ServiceDescriptorProto{Name: proto.String("Shop")}
	for name, level := range methods {
		m := &descriptorpb.MethodDescriptorProto{Name: proto.String(name), InputType: proto.String(pkg + ".Nothing"), OutputType: proto.String(pkg + ".Nothing")}
		if level != nil {
			m.Options = &descriptorpb.MethodOptions{IdempotencyLevel: level}
		}
		service.Method = append(service.Method, m)
	}
	f, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name:        proto.String(pkg + ".proto"),
		Package:     proto.String(pkg),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Nothing")}},
		Service:     []*descriptorpb.ServiceDescriptorProto{service},
	}, protoregistry.GlobalFiles)
	if err == nil {
		err = protoregistry.GlobalFiles.RegisterFile(f)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestIdempotencyLevel(t *testing.T) {
	if _, err := protoregistry.GlobalFiles.FindFileByPath("murmurationtest.proto"); err != nil { // else -count is above 1
		describe(t, "murmurationtest", map[string]*descriptorpb.MethodOptions_IdempotencyLevel{
			"Look": descriptorpb.MethodOptions_NO_SIDE_EFFECTS.Enum(),
			"Set":  descriptorpb.MethodOptions_IDEMPOTENT.Enum(),
			"Add":  nil,
		})
	}
	for method, want := range map[string]int{
		"/murmurationtest.Shop/Look":    3,
		"/murmurationtest.Shop/Set":     3,
		"/murmurationtest.Shop/Add":     1,
		"/murmurationtest.Shop/Unknown": 1,
		"/murmurationtest/Shop":         1,
		"/murmurationtest/Nothing":      1,
	} {
		a := newServer(t, says(codes.DeadlineExceeded, 0))
		s := newSetup(t, failover.Config{}, nil, a.addr)
		for range 2 { // the second time from memory
			err := s.conn.Invoke(bounded(t), method, &testpb.Empty{}, &testpb.Empty{})
			wantCode(t, err, codes.DeadlineExceeded)
		}
		a.wants(t, 2*want, 0)
	}
}

func TestWithResend(t *testing.T) {
	a := newServer(t, says(codes.DeadlineExceeded, 2))
	s := newSetup(t, failover.Config{}, nil, a.addr)
	if _, err := s.client.EmptyCall(failovergrpc.WithResend(context.Background()), &testpb.Empty{}); err != nil {
		t.Error(err)
	}
	a.wants(t, 2, 0)
}
