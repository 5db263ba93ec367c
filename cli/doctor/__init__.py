"""`hearth doctor`: looks at everything that Hearth rests on, and says what is wrong and how to mend it.

Each file checks one side and gives `Check`s; nothing here changes anything, and no check can break the others.
"""
