package identity_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
)

// Hundreds of projects with a user each come and go at once, as test suites do it: every user has its own project and no other, and nothing is left of them.
func TestCrowd(t *testing.T) {
	t.Parallel()
	c := identitytest.New(t, base.Options{})
	admin, member := c.AdminToken(), string(c.Role("member"))
	made := func(path, key, body string) string {
		a := c.Do("POST", "/"+path, admin, `{"`+key+`": `+body+`}`)
		if !assert.Equal(t, 201, a.Status, a.Body) {
			return "none"
		}
		return a.JSON(t)[key].(map[string]any)["id"].(string)
	}
	const crowd, atOnce = 200, 16
	var wg sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		wg.Go(func() {
			for n := range next {
				name := fmt.Sprintf("tempest-%d", n)
				project := made("projects", "project", `{"name": "`+name+`"}`)
				user := made("users", "user", `{"name": "`+name+`", "password": "`+name+`-pw", "default_project_id": "`+project+`"}`)
				assert.Equal(t, 204, c.Do("PUT", "/projects/"+project+"/users/"+user+"/roles/"+member, admin, "").Status)
				a := c.Do("POST", "/auth/tokens", "", identitytest.Login(name, name+"-pw", ""))
				if assert.Equal(t, 201, a.Status, a.Body) {
					token := a.Header.Get("X-Subject-Token")
					own := c.Do("GET", "/auth/projects", token, "").JSON(t)["projects"].([]any)
					assert.Len(t, own, 1)
					assert.Equal(t, project, own[0].(map[string]any)["id"])
					assert.Equal(t, 403, c.Do("GET", "/projects/"+string(c.Admin.DefaultProjectID), token, "").Status)
				}
				assert.Equal(t, 204, c.Do("DELETE", "/users/"+user, admin, "").Status)
				assert.Equal(t, 204, c.Do("DELETE", "/projects/"+project, admin, "").Status)
				assert.Equal(t, 401, c.Do("GET", "/auth/projects", a.Header.Get("X-Subject-Token"), "").Status)
			}
		})
	}
	for n := range crowd {
		next <- n
	}
	close(next)
	wg.Wait()
	grants := 0
	for range c.Core.Stale().Grants() {
		grants++
	}
	assert.Equal(t, 3, grants, "those of a new cluster")
	assert.Len(t, c.Want(200, "GET", "/users", admin, "").JSON(t)["users"], 2)
	assert.Len(t, c.Want(200, "GET", "/projects", admin, "").JSON(t)["projects"], 2)
}
