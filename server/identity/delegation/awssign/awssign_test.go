package awssign

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Amazon's examples: the test suite of version 4, the General Reference, and the S3 and EMR guides.
const (
	suiteSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	docsSecret  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	noBody      = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func authorization(service, signed string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/" + service + "/aws4_request, SignedHeaders=" + signed + ", Signature=x"
}

func TestVersion4(t *testing.T) {
	t.Parallel()
	vanilla := map[string]string{"Host": "example.amazonaws.com", "X-Amz-Date": "20150830T123600Z", "Authorization": authorization("service", "host;x-amz-date")}
	for name, c := range map[string]struct {
		secret string
		r      Request
		want   string
	}{
		"get-vanilla":                      {suiteSecret, Request{Verb: "GET", Path: "/", Headers: vanilla, BodyHash: noBody}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"post-vanilla":                     {suiteSecret, Request{Verb: "POST", Path: "/", Headers: vanilla, BodyHash: noBody}, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"get-vanilla-query-order-key-case": {suiteSecret, Request{Verb: "GET", Path: "/", Params: map[string]string{"Param2": "value2", "Param1": "value1"}, Headers: vanilla, BodyHash: noBody}, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		"ListUsers": {suiteSecret, Request{Verb: "GET", Path: "/", Params: map[string]string{"Action": "ListUsers", "Version": "2010-05-08"}, BodyHash: noBody, Headers: map[string]string{
			"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Host": "iam.amazonaws.com", "X-Amz-Date": "20150830T123600Z", "Authorization": authorization("iam", "content-type;host;x-amz-date")}},
			"5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
		"S3 GET object": {docsSecret, Request{Verb: "GET", Path: "/test.txt", BodyHash: noBody, Headers: map[string]string{"Host": "examplebucket.s3.amazonaws.com", "Range": "bytes=0-9",
			"x-amz-content-sha256": noBody, "X-Amz-Date": "20130524T000000Z",
			"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=x"}},
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		"S3 presigned": {docsSecret, Request{Verb: "GET", Path: "/test.txt", BodyHash: "UNSIGNED-PAYLOAD", Headers: map[string]string{"Host": "examplebucket.s3.amazonaws.com"},
			Params: map[string]string{"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request", "X-Amz-Date": "20130524T000000Z",
				"X-Amz-Expires": "86400", "X-Amz-SignedHeaders": "host", "X-Amz-Signature": "x"}},
			"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"},
	} {
		got, at, err := Sign(c.secret, c.r)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, got, name)
		assert.False(t, at.IsZero(), name)
	}
	assert.Equal(t, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9", hex.EncodeToString(Key(suiteSecret, "20150830", "us-east-1", "iam")))
}

func TestVersion2(t *testing.T) {
	t.Parallel()
	r := Request{Verb: "GET", Host: "elasticmapreduce.amazonaws.com", Path: "/", Params: map[string]string{"AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE", "Action": "DescribeJobFlows",
		"SignatureMethod": "HmacSHA256", "SignatureVersion": "2", "Timestamp": "2011-10-03T15:19:30", "Version": "2009-03-31", "Signature": "not a part of itself"}}
	got, at, err := Sign(docsSecret, r)
	require.NoError(t, err)
	assert.Equal(t, "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=", got)
	assert.Equal(t, time.Date(2011, 10, 3, 15, 19, 30, 0, time.UTC), at)
}

func TestS3(t *testing.T) {
	t.Parallel()
	got, err := S3(docsSecret, "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/awsexamplebucket1/photos/puppy.jpg")
	require.NoError(t, err)
	assert.Len(t, got, 28)
	got, err = S3(docsSecret, "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972")
	require.NoError(t, err)
	assert.Equal(t, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", got)
	for _, text := range []string{"AWS4", "AWS4-HMAC-SHA256\n1\n20130524/us-east-1/ec2/aws4_request\nx", "AWS4-HMAC-SHA256\n1\n20130524/us-east-1/s3/x\nx", "AWS4-HMAC-SHA256\n1\n2\n3\n4"} {
		_, err := S3(docsSecret, text)
		require.ErrorIs(t, err, ErrForm, text)
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Request{
		"nothing":        {},
		"version 1":      {Params: map[string]string{"SignatureVersion": "1"}},
		"basic":          {Headers: map[string]string{"Authorization": "Basic x"}},
		"another day":    {Headers: map[string]string{"X-Amz-Date": "20150831T123600Z", "Authorization": authorization("s", "host")}},
		"no date":        {Headers: map[string]string{"Authorization": authorization("s", "host")}},
		"short scope":    {Headers: map[string]string{"X-Amz-Date": "20150830T123600Z", "Authorization": "AWS4-HMAC-SHA256 Credential=a/20150830, SignedHeaders=host"}},
		"wrong time":     {Headers: map[string]string{"X-Amz-Date": "20150830Txx", "Authorization": authorization("s", "host")}},
		"wrong v2 time":  {Params: map[string]string{"SignatureVersion": "2", "Timestamp": "yesterday"}},
		"empty v2, date": {Params: map[string]string{"SignatureVersion": ""}},
	} {
		_, _, err := Sign("secret", r)
		require.Error(t, err, name)
	}
	assert.False(t, Equal("", ""))
	assert.False(t, Equal("a", "b"))
	assert.True(t, Equal("a", "a"))
}
