package request_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestFilesOfCreate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	files := "[" + file("/etc/motd", "hello\n") + ", " + file("/etc/empty", "") + "]"
	for _, one := range [][2]string{{"/servers", "2.1"}, {"/servers", "2.37"}, {"/servers", "2.56"}, {"/os-volumes_boot", "2.1"}, {"/os-volumes_boot", "2.56"}} {
		c.holds(c.boot(one[0], one[1], files), "/etc/motd=hello\n /etc/empty=")
	}
	c.holds(c.boot("/servers", "2.1", ""), "")
	c.holds(c.boot("/servers", "2.56", "[]"), "")
	c.holds(c.boot("/servers", "2.1", `[{"path": "/a", "contents": "aGVs\nbG8 \r\n="}]`), "/a=hello")
}

func TestFilesOfEachInstance(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.want(202, "alice", "2.1", "POST", "/servers", create("2.1", "["+file("/a", "b")+"]", `, "min_count": 3, "max_count": 3`))
	n := 0
	for ins := range c.core.Stale().AllInstances() {
		c.holds(string(ins.ID), "/a=b")
		n++
	}
	if n != 3 {
		t.Errorf("%d instances, want 3", n)
	}
}

// A rebuild injects the files that it was given, and of those that were injected before none.
func TestFilesOfRebuild(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.boot("/servers", "2.1", "["+file("/old", "1")+"]")
	for _, one := range []struct{ version, personality, want string }{
		{"2.1", "[" + file("/new", "2") + ", " + file("/more", "3") + "]", "/new=2 /more=3"},
		{"2.56", "[" + file("/new", "4") + "]", "/new=4"},
		{"2.56", "[]", ""},
		{"2.26", "[" + file("/again", "5") + "]", "/again=5"},
		{"2.57", "", ""},
	} {
		c.want(202, "alice", one.version, "POST", "/servers/"+id+"/action", rebuild(one.personality))
		c.holds(id, one.want)
		c.core.Drive(nil)
	}
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.boot("/servers", "2.1", "["+file("/old", "1")+"]")
	six := make([]string, 6)
	for i := range six {
		six[i] = file(fmt.Sprintf("/f%d", i), "x")
	}
	long, big := "/"+strings.Repeat("ü", 255), strings.Repeat("x", 10241)
	for _, one := range []struct {
		status           int
		message, version string
		personality      string
	}{
		{403, "Personality file limit exceeded", "2.1", "[" + strings.Join(six, ",") + "]"},
		{403, "Personality file path exceeds maximum 255", "2.56", "[" + file(long, "x") + "]"},
		{403, "Personality file content exceeds maximum 10240", "2.56", "[" + file("/a", "b") + "," + file("/b", big) + "]"},
		{403, "Personality file path exceeds maximum 255", "2.1", "[" + file("/b", big) + "," + file(long, "x") + "]"},
		{400, "Invalid input for field/attribute contents. Value: %%%. '%%%' is not a 'base64'", "2.1", `[{"path": "/a", "contents": "%%%"}]`},
		{400, "Bad personality format: missing 'contents'", "2.1", `[{"path": "/a"}]`},
		{400, "Bad personality format: missing 'path'", "2.1", `[{"contents": "aGk="}]`},
		{400, "Invalid input for field/attribute 0. Value: {'path': '/a', 'x': 1}. Additional properties are not allowed ('x' was unexpected)", "2.1", `[{"path": "/a", "x": 1}]`},
		{400, "Invalid input for field/attribute personality. Value: None. None is not of type 'array'", "2.1", `null`},
	} {
		c.refused(one.status, one.message, one.version, "/servers", create(one.version, one.personality, ""))
		c.refused(one.status, one.message, one.version, "/servers/"+id+"/action", rebuild(one.personality))
	}
	late := c.want(400, "alice", "2.57", "POST", "/servers", create("2.57", "[]", ""))
	late += c.want(400, "alice", "2.57", "POST", "/servers/"+id+"/action", rebuild("[]"))
	if strings.Count(late, "Additional properties are not allowed ('personality' was unexpected)") != 2 {
		t.Error(late)
	}
	c.holds(id, "/old=1")
	c.boot("/servers", "2.1", "["+file(long[:len(long)-len("ü")], strings.Repeat("x", 10240))+strings.Repeat(", "+file("/a", ""), 4)+"]") // all at their limits
}

// The limits are the project's, or its user's, and -1 is none.
func TestFileQuotas(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.boot("/servers", "2.1", "")
	set := func(query, limits string) {
		t.Helper()
		c.want(200, "admin", "2.1", "PUT", "/os-quota-sets/"+aliceProject+query, `{"quota_set": {`+limits+`}}`)
	}
	both := func(status int, message, personality string) {
		t.Helper()
		c.refused(status, message, "2.1", "/servers", create("2.1", personality, ""))
		c.refused(status, message, "2.1", "/servers/"+id+"/action", rebuild(personality))
	}
	set("", `"injected_files": 1, "injected_file_content_bytes": 3, "injected_file_path_bytes": 4`)
	both(403, "Personality file limit exceeded", "["+file("/a", "")+","+file("/b", "")+"]")
	both(403, "Personality file content exceeds maximum 3", "["+file("/a", "1234")+"]")
	both(403, "Personality file path exceeds maximum 4", "["+file("/abcd", "123")+"]")
	set("?user_id="+aliceUser, `"injected_files": 0`)
	both(403, "Personality file limit exceeded", "["+file("/a", "")+"]")
	c.boot("/servers", "2.1", "[]")
	set("", `"injected_files": -1, "injected_file_content_bytes": -1, "injected_file_path_bytes": -1`)
	set("?user_id="+aliceUser, `"injected_files": -1`)
	many := "[" + file(strings.Repeat("/a", 200), strings.Repeat("x", 20000)) + strings.Repeat(", "+file("/a", "b"), 9) + "]"
	id = c.boot("/servers", "2.1", many)
	if n := len(c.core.Stale().Instance(structs.InstanceID(id)).Files); n != 10 {
		t.Errorf("%d files, want 10", n)
	}
}

// What the files hold is shown to nobody and stands in no log.
func TestFilesAreNotTold(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	const secret = "the-secret-of-the-file"
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	id := c.boot("/servers", "2.1", "["+file("/etc/shadow", secret)+"]")
	told := c.want(202, "alice", "2.1", "POST", "/servers/"+id+"/action", rebuild("["+file("/etc/shadow", secret)+"]"))
	c.core.Drive(func(*structs.Operation) string { return "no" })
	for _, version := range []string{"2.1", "2.56", "2.104"} {
		for _, path := range []string{"/servers/" + id, "/servers/detail", "/servers/" + id + "/os-instance-actions"} {
			told += c.want(200, "admin", version, "GET", path, "")
		}
	}
	told += c.want(403, "alice", "2.1", "POST", "/servers", create("2.1", "["+file("/etc/shadow", secret+strings.Repeat("x", 10240))+"]", ""))
	told += c.want(400, "alice", "2.57", "POST", "/servers/"+id+"/action", `{"rebuild": {"imageRef": 5, "name": "`+secret[:3]+`"}}`)
	c.srv.Close()
	told += c.log.String()
	for _, word := range []string{secret, encoded, encoded[:len(encoded)-4]} {
		if strings.Contains(told, word) {
			t.Errorf("%q is told", word)
		}
	}
	if !json.Valid([]byte(`"`+encoded+`"`)) || strings.Contains(told, "/etc/shadow") {
		t.Error("the path is told")
	}
}
