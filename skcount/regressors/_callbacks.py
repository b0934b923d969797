"""scikit-learn's callbacks (1.9 and later), or nothing where it has none."""

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Stands in where scikit-learn has no callbacks yet."""

    def with_callbacks(method):
        """Leave a method as it is.

        Parameters
        ----------
        method : callable
            The method.

        Returns
        -------
        callable
            The same.
        """
        return method


class TaskTree:
    """One fit as scikit-learn's callbacks see it: a task with one subtask an epoch.

    Parameters
    ----------
    estimator : estimator
        The one that is being fitted.
    max_epochs : int
        Number of epochs.
    fitted : dict
        The attributes that make a copy of the estimator ready to predict.
    **data : dict
        What the hooks may ask for: X, y.
    """

    def __init__(self, estimator, max_epochs, fitted, **data):
        self.arguments = {"estimator": estimator, "reconstruction_attributes": lambda: fitted, **data}
        self.root = None
        if getattr(estimator, "_skl_callbacks", None):
            self.root = estimator._init_callback_context(max_subtasks=max_epochs)
            self.root.call_on_fit_task_begin(**self.arguments)
            self._begin_epoch()

    def _begin_epoch(self):
        self.epoch = self.root.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.arguments)

    def end_epoch(self, n_epochs):
        """End an epoch's task and begin the next one's.

        Parameters
        ----------
        n_epochs : int
            How many epochs are over.

        Returns
        -------
        bool
            Whether a callback asks to stop.
        """
        if self.root is None:
            return False
        stop = self.epoch.call_on_fit_task_end(**self.arguments)
        if not stop and n_epochs < self.root.max_subtasks:
            self._begin_epoch()
        return stop

    def end(self):
        """End the whole task."""
        if self.root is not None:
            self.root.call_on_fit_task_end(**self.arguments)
