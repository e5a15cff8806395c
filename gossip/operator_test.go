package gossip

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"testing"
)

// TestParseOperator: keys are read as murmurctl and openssl write them, and nothing else
// is taken for one.
func TestParseOperator(t *testing.T) {
	key, operators := operator(3)
	der, err := x509.MarshalPKIXPublicKey(operators[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(operators[0]) + "\n",
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	} {
		if got, err := ParseOperator(text); err != nil || !got.Equal(operators[0]) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "AAAA", "%", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der[:9]}))} {
		if got, err := ParseOperator(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if got, err := ParseOperatorPrivate(private); err != nil || !got.Equal(key) {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"", "x", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der[:9]}))} {
		if _, err := ParseOperatorPrivate([]byte(text)); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}
