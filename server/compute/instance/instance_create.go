package instance

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"unicode"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type instanceCreateBody struct {
	Server    instanceCreate  `json:"server"`
	Hints     json.RawMessage `json:"os:scheduler_hints"`
	HintsLong json.RawMessage `json:"OS-SCH-HNT:scheduler_hints"`
}

type instanceCreate struct {
	Name             string            `json:"name"`
	ImageRef         string            `json:"imageRef"`
	FlavorRef        base.FlexText     `json:"flavorRef"`
	AdminPass        *string           `json:"adminPass"`
	Metadata         map[string]string `json:"metadata"`
	Networks         json.RawMessage   `json:"networks"`
	DiskConfig       string            `json:"OS-DCF:diskConfig"`
	AccessIPv4       string            `json:"accessIPv4"`
	AccessIPv6       string            `json:"accessIPv6"`
	Personality      []personalityFile `json:"personality"`
	AvailabilityZone string            `json:"availability_zone"`
	Devices          []blockDevice     `json:"block_device_mapping"`
	DevicesV2        []blockDevice     `json:"block_device_mapping_v2"`
	ConfigDrive      base.FlexBool     `json:"config_drive"`
	KeyName          string            `json:"key_name"`
	MinCount         *base.FlexInt     `json:"min_count"`
	MaxCount         *base.FlexInt     `json:"max_count"`
	ReservationOnly  base.FlexBool     `json:"return_reservation_id"`
	SecurityGroups   []securityGroup   `json:"security_groups"`
	UserData         string            `json:"user_data"`
	Description      *string           `json:"description"`
	Tags             []string          `json:"tags"`
	TrustedCerts     []string          `json:"trusted_image_certificates"`
	Host             string            `json:"host"`
	Node             string            `json:"hypervisor_hostname"`
	Hostname         string            `json:"hostname"`
}

type securityGroup struct {
	Name string `json:"name"`
}

// createInstances is POST /servers: one entry in the log makes the instances, their operations and evaluations, and takes their quota.
func (s *service) createInstances(r *httpapi.Request) (any, error) {
	body, err := base.Decode[instanceCreateBody](r)
	if err != nil {
		return nil, err
	}
	least, most, err := s.counts(&body.Server)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	model, err := s.modelInstance(r, rd, body, most)
	if err != nil {
		return nil, err
	}
	made, err := s.proposeInstances(r, rd, model, least, most)
	if err != nil {
		return nil, err
	}
	if body.Server.ReservationOnly {
		return map[string]string{"reservation_id": model.ReservationID}, nil
	}
	return s.createdAnswer(r, &body.Server, model, made)
}

// counts returns how many instances are asked for: at least and at most.
func (s *service) counts(in *instanceCreate) (least, most int64, err error) {
	least = 1
	if in.MinCount != nil {
		least = int64(*in.MinCount)
	}
	most = least
	if in.MaxCount != nil {
		most = int64(*in.MaxCount)
	}
	if least > most {
		return 0, 0, httpapi.BadRequest("min_count must be <= max_count")
	}
	if limit := int64(s.MaxPerRequest); most > limit {
		return 0, 0, httpapi.BadRequest("max_count must be <= %d: ask for more instances in further requests", limit)
	}
	return least, most, nil
}

// modelInstance resolves what the request names and returns the instance that all of the request's instances are copies of. The order of the
// refusals is Nova's.
func (s *service) modelInstance(r *httpapi.Request, rd state.Reader, body *instanceCreateBody, most int64) (*structs.Instance, error) {
	in := &body.Server
	ins := &structs.Instance{ProjectID: r.Token.ProjectID, UserID: r.Token.UserID, Name: strings.TrimSpace(in.Name), Description: in.Description,
		ReservationID: "r-" + randomText(reservationLetters, 8), Metadata: in.Metadata, AccessIPv4: in.AccessIPv4, AccessIPv6: in.AccessIPv6,
		DiskConfig: in.DiskConfig, ConfigDrive: bool(in.ConfigDrive), KeyName: in.KeyName, Hostname: in.Hostname, TrustedCerts: in.TrustedCerts}
	if ins.ProjectID == "" {
		return nil, httpapi.Forbidden("Policy doesn't allow %screate to be performed.", instancePolicy)
	}
	if r.Version < 19 {
		ins.Description = &ins.Name
	}
	ins.Tags = slices.Compact(slices.Sorted(slices.Values(in.Tags)))
	for _, step := range []func() error{
		func() error { return s.resolvePlace(r, rd, in, ins) },
		func() error { return checkDevices(in) },
		func() error { return checkNetworks(r, in, most) },
		func() error { return resolveFlavor(r, rd, in, ins) },
		func() error { return checkHostname(in, most) },
		func() error { return s.checkZone(rd, ins) },
		func() error { return s.resolveImage(r, in, ins) },
		func() error { return checkSecurityGroups(in) },
		func() error { return resolveUserData(in, ins) },
		func() error { return resolveKey(r, rd, ins) },
		func() error { return checkMetadata(rd, ins) },
		func() error { return resolveFiles(rd, in, ins) },
		func() error { return resolveHints(r, rd, body, ins) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return ins, nil
}

func checkHostname(in *instanceCreate, most int64) error {
	if in.Hostname != "" && most > 1 {
		return httpapi.BadRequest("Unable to allocate a single hostname to multiple instances")
	}
	return nil
}

func resolveFiles(rd state.Reader, in *instanceCreate, ins *structs.Instance) (err error) {
	ins.Files, err = injectedFiles(rd.UserQuotaLimits(ins.ProjectID, ins.UserID), in.Personality)
	return err
}

// checkSecurityGroups lets only the group through that every project has: there is no service for others.
func checkSecurityGroups(in *instanceCreate) error {
	for _, g := range in.SecurityGroups {
		if g.Name != "" && g.Name != "default" {
			return httpapi.BadRequest("Security group %s not found.", g.Name)
		}
	}
	return nil
}

func resolveUserData(in *instanceCreate, ins *structs.Instance) error {
	if in.UserData == "" {
		return nil
	}
	data, err := decodeBase64(in.UserData)
	if err != nil {
		return httpapi.BadRequest("User data needs to be valid base 64.")
	}
	ins.UserData = data
	return nil
}

func resolveKey(r *httpapi.Request, rd state.Reader, ins *structs.Instance) error {
	if ins.KeyName == "" {
		return nil
	}
	k := rd.Keypair(r.Token.UserID, ins.KeyName)
	if k == nil {
		return httpapi.BadRequest("Invalid key_name provided.")
	}
	ins.PublicKeys = []string{k.PublicKey}
	return nil
}

func checkMetadata(rd state.Reader, ins *structs.Instance) error {
	if limit := rd.UserQuotaLimits(ins.ProjectID, ins.UserID).MetadataItems; limit >= 0 && int64(len(ins.Metadata)) > limit {
		return structs.Errorf(structs.KindQuota, "Maximum number of metadata items exceeds %d", limit)
	}
	return nil
}

// resolveHints keeps the hints as they were sent, less Nova's own. A server group has to exist.
func resolveHints(r *httpapi.Request, rd state.Reader, body *instanceCreateBody, ins *structs.Instance) error {
	raw := body.Hints
	if raw == nil {
		raw = body.HintsLong
	}
	if raw == nil {
		return nil
	}
	var hints map[string]json.RawMessage
	if err := json.Unmarshal(raw, &hints); err != nil {
		return httpapi.BadRequest("Malformed request body")
	}
	maps.DeleteFunc(hints, func(k string, _ json.RawMessage) bool { return strings.HasPrefix(k, "_nova") })
	if err := resolveGroup(r, rd, hints, ins); err != nil {
		return err
	}
	if len(hints) == 0 {
		return nil
	}
	b, err := json.Marshal(hints)
	ins.SchedulerHints = b
	return err
}

const (
	reservationLetters = "abcdefghijklmnopqrstuvwxyz0123456789"
	// passwordLetters leave out what is easily confused, as Nova's do.
	passwordLetters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	passwordLength  = 12
)

func randomText(letters string, n int) string {
	b := make([]byte, n)
	for i := range b {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		b[i] = letters[k.Int64()]
	}
	return string(b)
}

// entryBudget is how many bytes of instances go into one command, well below what an entry of the log may have.
const entryBudget = fsm.MaxEntryBytes / 2

// proposeInstances commits the instances and returns the ids of those that the quota had room for. More than fit one command go in several; when a
// later one is refused with fewer than least made, those that were made are deleted again.
func (s *service) proposeInstances(r *httpapi.Request, rd state.Reader, model *structs.Instance, least, most int64) ([]structs.InstanceID, error) {
	one, err := structs.Encode(model)
	if err != nil {
		return nil, structs.Errorf(structs.KindInternal, "encode instance: %w", err)
	}
	perCommand := max(1, int64(entryBudget/(len(one)+600))) // 600 bytes for the operation and the evaluation
	room := roomFor(rd, model)
	most = min(most, max(least, room))
	var made []structs.InstanceID
	for int64(len(made)) < most {
		n := min(perCommand, most-int64(len(made)))
		req := s.createRequest(r, model, int64(len(made)), n, most > 1)
		req.MinCount = int(max(1, min(n, least-int64(len(made)))))
		if room < least { // it will be refused: let the refusal speak of what was asked for
			req.MinCount = int(least)
		}
		ids, err := fsm.InstanceCreate.Propose(r.Context(), r.Core, req)
		made = append(made, ids...)
		if err != nil {
			if structs.IsKind(err, structs.KindQuota) && int64(len(made)) >= least {
				break
			}
			s.withdraw(r, made)
			return nil, err
		}
		if int64(len(ids)) < n {
			break
		}
	}
	return made, nil
}

// roomFor is how many such instances the project's quota has room for as the reader sees it: what is built beyond it would only be refused.
func roomFor(rd state.Reader, model *structs.Instance) int64 {
	limits, used := rd.QuotaRoom(model.ProjectID, model.UserID)
	room := int64(1) << 31
	for _, l := range []struct{ limit, used, each int64 }{{limits.Instances, used.Instances, 1}, {limits.Cores, used.Cores, int64(model.Flavor.VCPUs)},
		{limits.MemoryMiB, used.MemoryMiB, model.Flavor.MemoryMiB}} {
		if l.limit >= 0 && l.each > 0 {
			room = min(room, max(0, (l.limit-l.used)/l.each))
		}
	}
	return room
}

func (s *service) withdraw(r *httpapi.Request, made []structs.InstanceID) {
	for _, id := range made {
		_, _ = fsm.OperationCreate.Propose(r.Context(), r.Core, &structs.OperationCreateRequest{ // what cannot be deleted now is the user's to see and delete
			Operation: structs.Operation{ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: id, ProjectID: r.Token.ProjectID,
				UserID: r.Token.UserID, RequestID: r.RequestID, Kind: structs.OpDelete}, Admin: true, Now: s.Time()})
	}
}

// createRequest makes the command for n instances, the first of which is the from-th of its request. Of many, each has its number in its name.
func (s *service) createRequest(r *httpapi.Request, model *structs.Instance, from, n int64, many bool) *structs.InstanceCreateRequest {
	now := s.Time()
	req := &structs.InstanceCreateRequest{Now: now}
	for i := from; i < from+n; i++ {
		ins := *model
		ins.ID, ins.LaunchIndex = structs.InstanceID(nomadlike.NewUUID()), int(i)
		if many {
			ins.Name = fmt.Sprintf("%s-%d", model.Name, i+1)
		}
		if ins.Hostname == "" {
			ins.Hostname = hostnameOf(ins.Name, ins.ID)
		}
		op := structs.Operation{ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: ins.ID, ProjectID: ins.ProjectID, UserID: ins.UserID,
			RequestID: r.RequestID, Kind: structs.OpBuild}
		req.Instances = append(req.Instances, ins)
		req.Operations = append(req.Operations, op)
		req.Evaluations = append(req.Evaluations, structs.Evaluation{ID: structs.EvaluationID(nomadlike.NewUUID()), InstanceID: ins.ID, OperationID: op.ID,
			Status: structs.EvalPending, Attempt: 1, CreatedAt: now, UpdatedAt: now})
	}
	return req
}

// hostnameOf turns a name into a host name by Nova's rules: a label of at most 63 letters, digits, underscores and hyphens, in lower case.
func hostnameOf(name string, id structs.InstanceID) string {
	var b strings.Builder
	n := 0
	for _, c := range name {
		if c > 0xff { // what Latin-1 has not is dropped before the name is cut
			continue
		}
		if n++; n > 63 {
			break
		}
		switch {
		case c == ' ' || c == '_' || c == '.':
			b.WriteByte('-')
		case c == '-' || unicode.IsLetter(c) || unicode.IsDigit(c):
			b.WriteRune(unicode.ToLower(c))
		}
	}
	if h := strings.Trim(b.String(), ".-"); h != "" {
		return h
	}
	return "server-" + string(id)
}

func (s *service) createdAnswer(r *httpapi.Request, in *instanceCreate, model *structs.Instance, made []structs.InstanceID) (any, error) {
	if len(made) == 0 {
		return nil, structs.Errorf(structs.KindInternal, "no instance was made")
	}
	id := string(made[0])
	groups := in.SecurityGroups
	if groups == nil {
		groups = []securityGroup{{"default"}}
	}
	answer := map[string]any{"id": id, "links": r.Links("servers", id), "OS-DCF:diskConfig": model.DiskConfig, "security_groups": groups}
	if !s.NoAdminPass {
		pass := randomText(passwordLetters, passwordLength)
		if in.AdminPass != nil {
			pass = *in.AdminPass
		}
		answer["adminPass"] = pass
	}
	r.Writer.Header().Set("Location", r.Self("servers", id))
	return map[string]any{"server": answer}, nil
}
