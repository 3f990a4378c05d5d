"""The least that a Textual program can be: one label."""

from textual.app import App
from textual.widgets import Label


class OneLabel(App):
    def compose(self):
        yield Label("one label is here")


OneLabel().run()
