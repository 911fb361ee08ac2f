"""Tags and descriptions."""

import pytest

from kms_conformance.api import covers, impact

pytestmark = impact("keys")


def tag(name, value):
    """Return a tag."""
    return {"TagKey": name, "TagValue": value}


@covers("tags")
def test_tags(aws):
    """A tag that is set again has the new value, and one that is removed is gone."""
    key = aws.key(Tags=[tag("a", "1"), tag("b", "2")])
    aws.call("TagResource", KeyId=key, Tags=[tag("b", "3"), tag("c", "4")]).succeeds(200)
    aws.call("UntagResource", KeyId=key, TagKeys=["a"]).succeeds(200)
    listed = aws.call("ListResourceTags", KeyId=key).succeeds(200).proof.counts("Tags", 2)
    listed.selects("Tags.*.TagKey", ["a", "b", "c"], ["b", "c"])
    listed.selects("Tags.*.TagValue", ["1", "2", "3", "4"], ["3", "4"])


@covers("tags")
def test_tags_repeat(aws):
    """Setting or removing a tag twice is the same as once."""
    key = aws.key()
    for _ in range(2):
        aws.call("TagResource", KeyId=key, Tags=[tag("a", "1")]).succeeds(200)
    aws.call("ListResourceTags", KeyId=key).succeeds(200).proof.counts("Tags", 1)
    for _ in range(2):
        aws.call("UntagResource", KeyId=key, TagKeys=["a"]).succeeds(200)
    aws.call("ListResourceTags", KeyId=key).succeeds(200).proof.counts("Tags", 0)


@covers("tags")
def test_tag_pages(aws):
    """The tags of a key are listed page by page."""
    key = aws.key(Tags=[tag(name, "1") for name in "abc"])
    aws.lists_each_once("ListResourceTags", "Tags", "TagKey", "abc", KeyId=key, Limit=1)


@covers("tag-form")
@pytest.mark.parametrize(
    "tags",
    [[tag("aws:a", "1")], [tag("a", "1"), tag("a", "2")], [tag("", "1")]],
    ids=["aws", "twice", "empty"],
)
def test_tag_form(aws, tags):
    """A tag of the vendor's own prefix, without a key, or with one key twice is not set."""
    key = aws.key()
    aws.call("TagResource", KeyId=key, Tags=[tag("b", "1")]).succeeds(200)
    aws.call("TagResource", KeyId=key, Tags=tags).is_refused_somehow()
    aws.call("ListResourceTags", KeyId=key).succeeds(200).counts("Tags", 1)


@covers("description")
def test_description(aws):
    """A description is replaced as a whole, also by an empty one."""
    key = aws.key(Description="first")
    for text in ("second, with more words", ""):
        aws.call("UpdateKeyDescription", KeyId=key, Description=text).succeeds(200)
        shown = aws.call("DescribeKey", KeyId=key).succeeds(200).proof
        shown.shows("KeyMetadata.Description", text) if text else shown.agrees("KeyMetadata.Description", "")


@covers("description-size")
def test_description_size(aws):
    """A description of more than 8,192 characters is not taken."""
    key = aws.key()
    aws.call("UpdateKeyDescription", KeyId=key, Description="d" * 8192).succeeds(200)
    aws.call("UpdateKeyDescription", KeyId=key, Description="d" * 8193).is_refused("ValidationException")
