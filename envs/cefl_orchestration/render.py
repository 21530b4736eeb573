def draw(figure, system, frame):
    figure.add_subplot()
