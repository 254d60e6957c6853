package libvirt
import ("testing";"time"; "github.com/kilonova-cloud/kilonova/plugins/driver")
func TestTmpTimes(t *testing.T) {
	b := realBed(t); d := b.driver(t)
	for range 3 {
	s := b.blankSpec(t)
	x := time.Now(); _, err := d.Create(t.Context(), s); must(t, err); t.Log("create", time.Since(x))
	time.Sleep(time.Second)
	x = time.Now(); must(t, d.Stop(t.Context(), &driver.StopRequest{InstanceRef: s.InstanceRef})); t.Log("stop", time.Since(x))
	x = time.Now(); s.OperationID="2"; must(t, d.Start(t.Context(), &s.InstanceRef)); t.Log("start", time.Since(x))
	x = time.Now(); must(t, d.Destroy(t.Context(), &driver.DestroyRequest{InstanceRef: s.InstanceRef, DestroyDisks: true})); t.Log("destroy", time.Since(x))
	}
}
