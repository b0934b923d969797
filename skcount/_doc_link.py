"""Link from the HTML representation of an estimator to its page in the reference."""

DOCUMENTATION = "https://skcount.readthedocs.io/en/stable"


class DocLinkMixin:
    """Link an estimator to its page in skcount's reference, as scikit-learn links its own."""

    _doc_link_module = "skcount"
    _doc_link_template = DOCUMENTATION + "/api/skcount.{name}.html"

    def _doc_link_url_param_generator(self):
        return {"name": type(self).__name__}
