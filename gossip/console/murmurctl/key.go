package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/murmuration-go/murmuration/gossip"
)

func keygen(_ context.Context, args []string, out, errs io.Writer) error {
	f := newFlags("keygen", errs)
	file := f.need("out", "file for the private key; it must not exist")
	if err := f.parse(args); err != nil {
		return err
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	w, err := os.OpenFile(*file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := pem.Encode(w, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return fmt.Errorf("%w; %s is incomplete", err, *file)
	}
	if err := w.Close(); err != nil {
		return err
	}
	fmt.Fprintln(out, base64.StdEncoding.EncodeToString(pub))
	fmt.Fprintf(errs, "The private key is in %s. What is printed above is the public key: put it into gossip.Config.Operators of all members.\n", *file)
	return nil
}

func public(_ context.Context, args []string, out, errs io.Writer) error {
	f := newFlags("public", errs)
	file := f.need("key", "file of the operator's private key")
	if err := f.parse(args); err != nil {
		return err
	}
	key, err := privateKey(*file)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)))
	return nil
}

func privateKey(file string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return gossip.ParseOperatorPrivate(b)
}
