"""Where an estimator's HTML representation links to."""

DOCUMENTATION = "https://skcount.readthedocs.io/en/stable"


class DocLinkMixin:
    """Link an estimator of skcount to its page of the reference, as scikit-learn links its own.

    >>> class Regressor(DocLinkMixin): ...
    >>> Regressor()._doc_link_url_param_generator()
    {'name': 'Regressor'}
    """

    _doc_link_module = "skcount"
    _doc_link_template = DOCUMENTATION + "/api/skcount.{name}.html"

    def _doc_link_url_param_generator(self):
        return {"name": type(self).__name__}
