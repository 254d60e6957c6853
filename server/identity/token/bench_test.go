package token

import (
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// BenchmarkLogin is a login with a password from request to answer, catalog and all: with the cheapest hash, which is the rest of the work, and with the default.
func BenchmarkLogin(b *testing.B) {
	for _, x := range []struct {
		name          string
		cost, hashers int
	}{{"cheap", bcrypt.MinCost, 0}, {"cheap-2-at-once", bcrypt.MinCost, 2}, {"default", bcrypt.DefaultCost, 0}} {
		b.Run(x.name, func(b *testing.B) {
			w := newWorld(b)
			w.hashers = x.hashers
			w.serve()
			u := w.demo
			var err error
			if u.PasswordHash, err = base.HashPassword(demoPassword, x.cost); err != nil {
				b.Fatal(err)
			}
			w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
			body := passwordBody("demo", demoPassword, "")
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := httptest.NewRequest("POST", "/identity/v3/auth/tokens", strings.NewReader(body))
					rec := httptest.NewRecorder()
					if w.handler.ServeHTTP(rec, r); rec.Code != 201 {
						b.Fatal(rec.Code, rec.Body)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
		})
	}
}

// BenchmarkIssue is a token from a token: no password is hashed.
func BenchmarkIssue(b *testing.B) {
	w := newWorld(b)
	body := `{"auth":{"identity":{"methods":["token"],"token":{"id":"` + w.issue(w.demo) + `"}},"scope":{"project":{"id":"` + string(w.demo.DefaultProjectID) + `"}}}}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/identity/v3/auth/tokens", strings.NewReader(body))
		rec := httptest.NewRecorder()
		if w.handler.ServeHTTP(rec, r); rec.Code != 201 {
			b.Fatal(rec.Code, rec.Body)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}
