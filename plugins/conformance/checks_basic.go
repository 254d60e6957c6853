package conformance

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func checkConfigure(s *session) {
	require.NoError(s, s.d.Configure(s.call(), s.h.Config), "the same configuration again")

	config := map[string]any{}
	if len(s.h.Config) > 0 {
		require.NoError(s, json.Unmarshal(s.h.Config, &config), "the harness's configuration is a JSON object")
	}
	config["no_such_key"] = true
	raw, err := json.Marshal(config)
	require.NoError(s, err)
	err = s.d.Configure(s.call(), raw)
	require.ErrorIs(s, err, driver.ErrInvalid, "an unknown key")
	require.ErrorContains(s, err, "no_such_key", "the message names the key")
	require.ErrorIs(s, s.d.Configure(s.call(), []byte("{")), driver.ErrInvalid, "broken JSON")

	_, err = s.d.List(s.call())
	require.NoError(s, err, "a refused configuration leaves the one before in force")
}

func checkCapabilities(s *session) {
	caps, err := s.d.Capabilities(s.call())
	require.NoError(s, err)
	require.NotEmpty(s, caps.Name)
	require.NotEmpty(s, caps.Version)
	require.NotEmpty(s, caps.ImageFormats, "at least one image format")
	optional := driver.OptionalMethods()
	require.Subset(s, optional, caps.Methods, "Methods has names of optional methods only")
	again, err := s.d.Capabilities(s.call())
	require.NoError(s, err)
	require.Equal(s, caps, again)

	for _, m := range optional {
		if slices.Contains(caps.Methods, m) {
			continue
		}
		err := callByName(s, m, "conformance-no-guest")
		require.ErrorIs(s, err, driver.ErrNotSupported, "%s is not in Capabilities.Methods", m)
		require.ErrorContains(s, err, m, "the message names the method")
	}
}

// callByName calls a method with empty arguments but for the instance id.
func callByName(s *session, name, instanceID string) error {
	m := reflect.ValueOf(s.d).MethodByName(name)
	args := []reflect.Value{reflect.ValueOf(s.call())}
	for i := 1; i < m.Type().NumIn(); i++ {
		arg := reflect.New(m.Type().In(i)).Elem()
		if arg.Kind() == reflect.Pointer {
			arg.Set(reflect.New(arg.Type().Elem()))
			if f := arg.Elem().FieldByName("InstanceID"); f.IsValid() {
				f.SetString(instanceID)
			}
			if f := arg.Elem().FieldByName("Spec"); f.IsValid() {
				spec := s.h.Spec(s.tb)
				spec.InstanceID = instanceID
				f.Set(reflect.ValueOf(spec))
			}
		}
		args = append(args, arg)
	}
	out := m.Call(args)
	err, _ := out[len(out)-1].Interface().(error)
	return err
}

func checkFingerprint(s *session) {
	ctx, cancel := context.WithCancel(s.call())
	defer cancel()
	ch, err := s.d.Fingerprint(ctx)
	require.NoError(s, err)
	var fp *driver.Fingerprint
	select {
	case fp = <-ch:
	case <-time.After(s.h.Timeout):
	}
	require.NotNil(s, fp, "a first value at once")
	require.True(s, fp.Healthy, "healthy: %s", fp.HealthDescription)
	require.NotEmpty(s, fp.HypervisorType)
	require.NotEmpty(s, fp.HypervisorHostname)
	require.Positive(s, fp.HypervisorVersion)
	require.Positive(s, fp.Inventory.VCPUs)
	require.Positive(s, fp.Inventory.MemoryMiB)
	require.Positive(s, fp.Inventory.DiskGiB)
	require.NotEmpty(s, fp.Architectures)
	require.True(s, slices.IsSorted(fp.Traits), "traits are sorted: %v", fp.Traits)

	cancel()
	s.eventually(func() bool {
		select {
		case _, open := <-ch:
			return !open
		default:
			return false
		}
	}, "the channel closes when its context ends")

	second, err := s.d.Fingerprint(s.call())
	require.NoError(s, err)
	require.NotNil(s, <-second, "a second stream has a first value too")
}

func checkContext(s *session) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	spec := s.spec(true)
	_, err := s.d.Create(ctx, spec)
	require.ErrorIs(s, err, context.Canceled, "a call with a context that has ended")

	// Cut short anywhere, or not at all on a quick driver: the repetition completes.
	for _, after := range []time.Duration{time.Millisecond, 5 * time.Millisecond, 50 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(s.ctx, after)
		begin := time.Now()
		_, err = s.d.Create(ctx, spec)
		cancel()
		if err != nil {
			require.ErrorIs(s, err, context.DeadlineExceeded)
		}
		require.Less(s, time.Since(begin), after+s.h.Timeout/2, "returns promptly when the context ends")
	}
	s.createAs(spec)
	require.Contains(s, s.listed(), spec.InstanceID)
}
